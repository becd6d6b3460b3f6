//! What those who run the server look at.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};

use super::call::Call;
use super::metrics;
use super::problem::Problem;
use super::route::Page;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Jono</title></head><body>
<h1>Jono</h1>
<p>A realtime engine for customer support. WebSockets: <code>/v1/ws</code>.</p>
<ul>
<li><a href=\"/demo/\">A shop with the widget</a></li>
<li><a href=\"/desk/\">The agents' desk</a></li>
<li><a href=\"/v1/openrpc.json\">The WebSocket protocol (OpenRPC)</a></li>
<li><a href=\"/v1/openapi.json\">The admin API (OpenAPI)</a></li>
<li><a href=\"/metrics\">Metrics</a></li>
<li><a href=\"/healthz\">Health</a>, <a href=\"/readyz\">readiness</a></li>
</ul>
</body></html>
";

pub(super) async fn index(_: Call) -> Result<Page, Problem> {
    Ok(Page::new("text/html; charset=utf-8", INDEX))
}

pub(super) async fn health(_: Call) -> Result<Page, Problem> {
    Ok(Page::new(TEXT, "ok\n"))
}

pub(super) async fn readiness(call: Call) -> Result<Page, Problem> {
    Ok(if call.state.is_ready() {
        Page::new(TEXT, "ready\n")
    } else {
        Page { status: StatusCode::SERVICE_UNAVAILABLE, ..Page::new(TEXT, "not ready\n") }
    })
}

pub(super) async fn metrics(call: Call) -> Result<Page, Problem> {
    // Listing the descriptors of a full process takes milliseconds that the sockets of this thread would wait.
    let process = web::block(metrics::process).await.unwrap_or_default();
    Ok(Page::new(metrics::CONTENT_TYPE, metrics::text(&call.state, process)))
}

pub(super) async fn openapi(_: Call) -> Result<Page, Problem> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| format!("{:#}\n", super::openapi()).into());
    Ok(Page::new(JSON, TEXT.clone()))
}

pub(super) async fn openrpc(_: Call) -> Result<Page, Problem> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| format!("{:#}\n", crate::wire::openrpc()).into());
    Ok(Page::new(JSON, TEXT.clone()))
}
