//! One route: what it is called with, who may, what it answers, and its handler.

use std::future::Future;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::problem::Problem;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Everybody.
    Public,
    /// The root key.
    Root,
    /// The root key, and operators of the organisation in the path. For others there is no such
    /// organisation; its agents learn that they may not.
    Operator,
    /// Operators of the organisation in the path: it is done in an agent's name.
    OperatorOnly,
}

/// How the schema of a body is made.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

type Handler = dyn Fn(Call, Bytes) -> LocalBoxFuture<'static, Result<Page, Problem>>;

/// One row of the table.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) right: Right,
    /// The operation's name in the OpenAPI document.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) status: StatusCode,
    pub(super) body: Option<SchemaOf>,
    /// `None` answers with nothing, or with something that is not JSON.
    pub(super) answer: Option<SchemaOf>,
    /// Takes `cursor` and `limit`.
    pub(super) paged: bool,
    handler: Box<Handler>,
}

/// What a handler answers.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl Page {
    pub(super) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }
}

/// The one content type of bodies.
pub(super) const JSON: &str = "application/json";

/// A row whose handler takes and answers JSON. The types make the schemas.
pub(super) struct RouteTo(Method, &'static str, Right);

/// Begins a row.
pub(super) fn on(method: Method, path: &'static str, right: Right) -> RouteTo {
    RouteTo(method, path, right)
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn encode<A: Serialize>(status: StatusCode, answer: &A) -> Result<Page, Problem> {
    let body = serde_json::to_vec(answer)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
    Ok(Page { status, content_type: JSON, body: body.into() })
}

impl RouteTo {
    fn row(self, name: &'static str, about: &'static str, status: StatusCode, handler: Box<Handler>) -> Route {
        let Self(method, path, right) = self;
        Route { method, path, right, name, about, status, body: None, answer: None, paged: false, handler }
    }

    /// Answers JSON.
    pub(super) fn answers<A, F>(self, name: &'static str, about: &'static str, handler: fn(Call) -> F) -> Route
    where
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let handle = move |call, _| handler(call).map(|answer| encode(StatusCode::OK, &answer?)).boxed_local();
        Route { answer: Some(schema_of::<A>), ..self.row(name, about, StatusCode::OK, Box::new(handle)) }
    }

    /// Takes JSON and answers JSON.
    pub(super) fn takes<B, A, F>(
        self,
        status: StatusCode,
        name: &'static str,
        about: &'static str,
        handler: fn(Call, B) -> F,
    ) -> Route
    where
        B: DeserializeOwned + JsonSchema + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let handle = move |call, body: Bytes| async move { encode(status, &handler(call, decode(&body)?).await?) }.boxed_local();
        let row = self.row(name, about, status, Box::new(handle));
        Route { body: Some(schema_of::<B>), answer: Some(schema_of::<A>), ..row }
    }

    /// Takes JSON and answers 204.
    pub(super) fn takes_only<B, F>(self, name: &'static str, about: &'static str, handler: fn(Call, B) -> F) -> Route
    where
        B: DeserializeOwned + JsonSchema + 'static,
        F: Future<Output = Result<(), Problem>> + 'static,
    {
        let handle =
            move |call, body: Bytes| async move { handler(call, decode(&body)?).await.map(|()| nothing()) }.boxed_local();
        Route { body: Some(schema_of::<B>), ..self.row(name, about, StatusCode::NO_CONTENT, Box::new(handle)) }
    }

    /// Answers 204.
    pub(super) fn does<F>(self, name: &'static str, about: &'static str, handler: fn(Call) -> F) -> Route
    where
        F: Future<Output = Result<(), Problem>> + 'static,
    {
        let handle = move |call, _| handler(call).map(|done| done.map(|()| nothing())).boxed_local();
        self.row(name, about, StatusCode::NO_CONTENT, Box::new(handle))
    }

    /// Answers something that is not described.
    pub(super) fn shows<F>(self, name: &'static str, about: &'static str, handler: fn(Call) -> F) -> Route
    where
        F: Future<Output = Result<Page, Problem>> + 'static,
    {
        let handle = move |call, _| handler(call).boxed_local();
        self.row(name, about, StatusCode::OK, Box::new(handle))
    }
}

impl Route {
    /// Calls the handler.
    pub(super) async fn handle(&self, call: Call, body: Bytes) -> Result<Page, Problem> {
        (self.handler)(call, body).await
    }

    /// Takes `cursor` and `limit`.
    pub(super) fn paged(mut self) -> Self {
        self.paged = true;
        self
    }
}

fn nothing() -> Page {
    Page { status: StatusCode::NO_CONTENT, content_type: "", body: Bytes::new() }
}

fn decode<B: DeserializeOwned>(body: &[u8]) -> Result<B, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let quoted = text.starts_with("unknown field") || text.starts_with("missing field");
        let field = if quoted { text.split('`').nth(1).map(str::to_owned) } else { None };
        if error.is_data() {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text).in_field(field.as_deref())
        } else {
            Problem::bad_request(format!("not JSON: {text}"))
        }
    })
}
