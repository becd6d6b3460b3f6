//! Plain HTTP: the admin API, sign-in for the desk, health, metrics, the documents, and the pages.
//!
//! `table` lists every route once; `dispatch` serves them, `body` reads what they take, `openapi` describes
//! them. What is asked is decided by the engine: the handlers translate, from a `call` to an order. `forms` is
//! the JSON, `problem` the errors. `pages` serves the widget, the desk and the demo, which are none of the API.

use std::sync::Arc;

use actix_web::web::ServiceConfig;

mod agents;
mod body;
mod call;
mod dispatch;
mod engine;
mod forms;
mod metrics;
mod openapi;
mod operations;
mod organisations;
mod pages;
mod problem;
mod queues;
mod route;
mod sign_in;
mod sites;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod throttle;
mod words;

pub use body::without_body;
pub use engine::{Admin, Reading};
pub use openapi::openapi;
pub use state::State;
#[cfg(test)]
pub(crate) use tests::FakeEngine;

/// Largest body of a request, bytes: an agent of all thousand queues takes 40 KB.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Puts every route of the table, and answers for what is not in it, into an `App`.
pub fn configure(state: &Arc<State>, config: &mut ServiceConfig) {
    pages::install(config);
    dispatch::install(state, table::routes(), config);
}
