//! The documents that are made from the table of methods: OpenRPC for programs, a reference for people.

use schemars::SchemaGenerator;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use super::error::REASONS;
use super::methods::{METHODS, Method};
use super::notifications::NOTIFICATIONS;

mod markdown;

pub use markdown::protocol_markdown;

/// Where schemas of types lie in the OpenRPC document.
const SCHEMAS: &str = "/components/schemas";

/// Every schema that the documents need.
struct Schemas {
    /// `(params, result)` of each method, in the order of the table.
    methods: Vec<(Value, Value)>,
    /// `params` of each notification, in the order of the table.
    notifications: Vec<Value>,
    /// The types that those refer to, by name.
    types: Map<String, Value>,
}

impl Schemas {
    fn make() -> Self {
        // What is read may leave out other things than what is written does.
        let mut read = generator(Contract::Deserialize);
        let mut written = generator(Contract::Serialize);
        let methods =
            METHODS.iter().map(|method| ((method.params)(&mut read).to_value(), (method.result)(&mut written).to_value()));
        let methods = methods.collect();
        let notifications = NOTIFICATIONS.iter().map(|it| (it.params)(&mut written).to_value()).collect();
        let mut types = read.take_definitions(true);
        types.extend(written.take_definitions(true));
        Self { methods, notifications, types }
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = SCHEMAS.into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.into_generator()
}

/// The OpenRPC document: every method, and under `components` every type and, as `x-notifications`, every
/// notification.
#[must_use]
pub fn openrpc() -> Value {
    let schemas = Schemas::make();
    let methods = METHODS.iter().zip(&schemas.methods);
    let notifications = NOTIFICATIONS.iter().zip(&schemas.notifications).map(|(notification, params)| {
        let said = json!({ "summary": notification.summary, "x-roles": notification.roles.names(), "params": params });
        (notification.name.to_owned(), said)
    });
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Jono",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0 over WebSocket, one message or batch per text frame.",
        },
        "methods": methods.map(|(method, (params, result))| described(method, params, result)).collect::<Vec<_>>(),
        "components": {
            "schemas": schemas.types,
            "x-notifications": notifications.collect::<Map<_, _>>(),
        },
    })
}

fn described(method: &Method, params: &Value, result: &Value) -> Value {
    let errors = method.reasons.iter().filter_map(|reason| REASONS.iter().find(|(name, ..)| name == reason));
    let errors = errors.map(|(reason, _, when)| json!({ "code": -32000, "message": when, "data": { "reason": reason } }));
    let is_required = |name: &str| params["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
    let properties = params["properties"].as_object().into_iter().flatten();
    let params = properties.map(|(name, schema)| json!({ "name": name, "required": is_required(name), "schema": schema }));
    json!({
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        "params": params.collect::<Vec<_>>(),
        "result": { "name": "result", "schema": result },
        "errors": errors.collect::<Vec<_>>(),
        "x-roles": method.roles.names(),
        "x-mutating": method.mutating,
    })
}

#[cfg(test)]
mod tests;
