//! The body of a request: read in bounded time and length where a route takes one, else not waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::time::timeout;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::{Bytes, Payload};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use futures_util::future::{FutureExt as _, LocalBoxFuture, TryFutureExt as _};

use super::BODY_BYTES_MAX;
use super::problem::Problem;
use super::route::JSON;

/// Does a body come, or is one announced?
fn has_body(request: &HttpRequest) -> bool {
    let fields = request.headers();
    fields.contains_key(TRANSFER_ENCODING) || fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The body, for routes that take one: all of it, of bounded length, in bounded time.
pub(super) async fn read(request: &HttpRequest, body: &mut Payload, within: Duration) -> Result<Bytes, Problem> {
    let field = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !field(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON) {
        let message = "the body must be JSON: `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", message));
    }
    let too_large = || {
        let message = format!("the body is over {BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    if field(CONTENT_LENGTH).parse().is_ok_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let collected = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Problem::bad_request("the body could not be read"))?;
            if bytes.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(bytes))
    };
    timeout(within, collected).await.unwrap_or_else(|_| {
        let message = format!("the body did not arrive within {} ms", within.as_millis());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "invalid", message))
    })
}

/// The answer to a request whose body was not read to its end: the connection ends behind it.
pub(super) fn unread(request: &HttpRequest, payload: Payload, mut response: HttpResponse) -> HttpResponse {
    if !has_body(request) {
        return response;
    }
    response.head_mut().set_connection_type(ConnectionType::Close);
    response.map_body(|_, body| BoxBody::new(Unread { body, _payload: payload.into_inner() }))
}

/// A wrapper for the whole `App`: the body of a `GET` or `HEAD` is for nobody, pages included, and is not waited for.
pub fn without_body<S, B>(mut request: ServiceRequest, app: &S) -> LocalBoxFuture<'static, Result<ServiceResponse, Error>>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let is_for_nobody = matches!(*request.method(), Method::GET | Method::HEAD) && has_body(request.request());
    let payload = is_for_nobody.then(|| request.take_payload());
    app.call(request)
        .map_ok(|response| match payload {
            None => response.map_into_boxed_body(),
            Some(payload) => response.map_body(|head, body| {
                head.set_connection_type(ConnectionType::Close);
                BoxBody::new(Unread { body: BoxBody::new(body), _payload: payload })
            }),
        })
        .boxed_local()
}

/// Keeps what was not read until the answer is out. Actix drains a chunked body that nobody holds, for as long
/// as it takes to arrive; one that is held ends the connection.
struct Unread {
    body: BoxBody,
    _payload: actix_web::dev::Payload,
}

impl MessageBody for Unread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
