//! The OpenAPI 3.1 document, from the table of routes and the types of their bodies.

use actix_web::http::{Method, StatusCode};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::Body;
use super::route::{Right, Route};
use super::table::routes;

const ABOUT: &str = "Organisations, sites, queues, agents and their settings.\n\n\
    A credential is the root key, an agent token or a desk token of an operator, as `Authorization: Bearer ...`. What belongs to \
    another organisation is answered like what does not exist. Requests that change something take an `Idempotency-Key`: repeating \
    it gives the first answer, for 24 hours. Bodies are JSON of at most 256 KiB; unknown fields are refused.";

/// The document.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    // What is taken and what is answered differ where fields have defaults.
    let mut taken = settings.clone().for_deserialize().into_generator();
    let mut answered = settings.for_serialize().into_generator();
    let problem = answered.subschema_for::<Body>();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut taken, &mut answered);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    let mut schemas = answered.take_definitions(true);
    for (name, schema) in taken.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Jono admin API", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": { "description": "Why not.", "content": { "application/json": { "schema": problem } } },
            },
        },
    })
}

fn operation(route: &Route, taken: &mut SchemaGenerator, answered: &mut SchemaGenerator) -> Value {
    let mut success = json!({ "description": success(route) });
    if let Some(schema) = route.answer {
        success["content"] = json!({ "application/json": { "schema": schema(answered) } });
    }
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "description": right(route.right),
        "parameters": parameters(route),
        "responses": { route.status.as_str(): success, "default": { "$ref": "#/components/responses/Problem" } },
        "security": if route.right == Right::Public { json!([]) } else { json!([{ "bearer": [] }]) },
    });
    if let Some(schema) = route.body {
        let content = json!({ "application/json": { "schema": schema(taken) } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn success(route: &Route) -> &'static str {
    match route.status {
        StatusCode::CREATED => "It exists now.",
        StatusCode::NO_CONTENT => "Done.",
        _ => "As asked.",
    }
}

fn right(right: Right) -> &'static str {
    match right {
        Right::Public => "For everybody.",
        Right::Root => "For the root key.",
        Right::Operator => "For the root key and the organisation's operators.",
        Right::OperatorOnly => "For the organisation's operators.",
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let mut parameters: Vec<Value> = route
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }))
        .collect();
    if route.paged {
        let about = "The `cursor` of the page before.";
        parameters.push(json!({ "name": "cursor", "in": "query", "description": about, "schema": text }));
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 1000 });
        parameters.push(json!({ "name": "limit", "in": "query", "schema": limit }));
    }
    if route.method != Method::GET && route.right != Right::Public {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "schema": key }));
    }
    parameters
}
