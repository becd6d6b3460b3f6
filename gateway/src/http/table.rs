//! Every route, once: what is served and what the OpenAPI document describes.

use actix_web::http::{Method, StatusCode};

use super::route::Right::{Operator, OperatorOnly, Public, Root};
use super::route::{Route, on};
use super::{agents, operations, organisations, queues, sign_in, sites, words};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;
const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;

macro_rules! organisation {
    ($rest:literal) => {
        concat!("/v1/organisations/{organisation}", $rest)
    };
}

/// The table.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = operation_routes();
    routes.extend(organisation_routes());
    routes.extend(queue_and_site_routes());
    routes.extend(agent_routes());
    routes.extend(word_routes());
    routes
}

fn operation_routes() -> Vec<Route> {
    vec![
        on(GET, "/", Public).shows("index", "Links to what is here, as HTML.", operations::index),
        on(GET, "/healthz", Public).shows("healthz", "200 while the process serves.", operations::health),
        on(GET, "/readyz", Public).shows(
            "readyz",
            "200 while sockets are welcome; 503 before everything is recovered and while the process is ending.",
            operations::readiness,
        ),
        on(GET, "/metrics", Public).shows("metrics", "Counters, for Prometheus.", operations::metrics),
        on(GET, "/v1/openapi.json", Public).shows("openapi", "This document.", operations::openapi),
        on(GET, "/v1/openrpc.json", Public).shows("openrpc", "The WebSocket protocol, as OpenRPC.", operations::openrpc),
    ]
}

fn organisation_routes() -> Vec<Route> {
    const ONE: &str = organisation!("");
    const SETTINGS: &str = organisation!("/settings");
    vec![
        on(POST, "/v1/sign-in", Public).takes(
            OK,
            "signIn",
            "A desk token for a name and a password; tries are limited by address and by name.",
            sign_in::sign_in,
        ),
        on(GET, "/v1/organisations", Root).answers("listOrganisations", "All organisations.", organisations::list).paged(),
        on(POST, "/v1/organisations", Root).takes(CREATED, "createOrganisation", "A new organisation.", organisations::create),
        on(GET, ONE, Operator).answers("getOrganisation", "One organisation.", organisations::get),
        on(PATCH, ONE, Operator).takes(OK, "patchOrganisation", "Changes its name or settings.", organisations::patch),
        on(GET, SETTINGS, Operator).answers("getSettings", "Its settings.", organisations::get_settings),
        on(PATCH, SETTINGS, Operator).takes(OK, "patchSettings", "Changes its settings.", organisations::patch_settings),
    ]
}

fn queue_and_site_routes() -> Vec<Route> {
    const SITES: &str = organisation!("/sites");
    const SITE: &str = organisation!("/sites/{site}");
    const QUEUES: &str = organisation!("/queues");
    const QUEUE: &str = organisation!("/queues/{queue}");
    vec![
        on(GET, SITES, Operator).answers("listSites", "Embeds of the widget.", sites::list).paged(),
        on(POST, SITES, Operator).takes(CREATED, "createSite", "A new site.", sites::create),
        on(GET, SITE, Operator).answers("getSite", "One site.", sites::get),
        on(PUT, SITE, Operator).takes(OK, "putSite", "Replaces a site that exists; new ones come from `createSite`.", sites::put),
        on(DELETE, SITE, Operator).does("deleteSite", "Removes a site.", sites::delete),
        on(GET, QUEUES, Operator).answers("listQueues", "Queues.", queues::list).paged(),
        on(POST, QUEUES, Operator).takes(CREATED, "createQueue", "A new queue.", queues::create),
        on(GET, QUEUE, Operator).answers("getQueue", "One queue.", queues::get),
        on(PUT, QUEUE, Operator).takes(
            OK,
            "putQueue",
            "Replaces a queue that exists; settings left out get their defaults. New ones come from `createQueue`.",
            queues::put,
        ),
        on(DELETE, QUEUE, Operator).does(
            "deleteQueue",
            "Removes a queue; its open conversations go on until they end.",
            queues::delete,
        ),
        on(POST, organisation!("/queues/{queue}/open"), OperatorOnly).does("openQueue", "Opens a queue by hand.", queues::open),
        on(POST, organisation!("/queues/{queue}/close"), OperatorOnly).does(
            "closeQueue",
            "Closes a queue by hand.",
            queues::close,
        ),
    ]
}

fn agent_routes() -> Vec<Route> {
    const AGENTS: &str = organisation!("/agents");
    const AGENT: &str = organisation!("/agents/{agent}");
    const PASSWORD: &str = organisation!("/agents/{agent}/password");
    vec![
        on(GET, AGENTS, Operator).answers("listAgents", "Agents, persons and bots.", agents::list).paged(),
        on(POST, AGENTS, Operator).takes(CREATED, "createAgent", "A new agent, without credentials.", agents::create),
        on(GET, AGENT, Operator).answers("getAgent", "One agent.", agents::get),
        on(PUT, AGENT, Operator).takes(
            OK,
            "putAgent",
            "Changes an agent that exists: its name, and what else is given. What is left out stays as it is, and so do its credentials; the last enabled operator stays one. New ones come from `createAgent`.",
            agents::put,
        ),
        on(DELETE, AGENT, Operator).does("deleteAgent", "Removes an agent and its credentials.", agents::delete),
        on(POST, organisation!("/agents/{agent}/tokens"), Operator).takes(
            CREATED,
            "createToken",
            "A new token. Its secret is in this answer and nowhere else. Repeating an `Idempotency-Key` after the token was removed is a conflict.",
            agents::create_token,
        ),
        on(DELETE, organisation!("/agents/{agent}/tokens/{token}"), Operator).does(
            "deleteToken",
            "Removes a token; sessions opened with it end.",
            agents::delete_token,
        ),
        on(PUT, PASSWORD, Operator).takes_only(
            "putPassword",
            "Sets the password, which ends sessions of the desk.",
            agents::put_password,
        ),
        on(DELETE, PASSWORD, Operator).does(
            "deletePassword",
            "Nobody can sign in with a password any more.",
            agents::delete_password,
        ),
    ]
}

fn word_routes() -> Vec<Route> {
    const TAG: &str = organisation!("/tags/{tag}");
    const CANNED: &str = organisation!("/canned/{keyword}");
    vec![
        on(GET, organisation!("/tags"), Operator).answers("listTags", "Tags that agents can set.", words::list_tags).paged(),
        on(PUT, TAG, Operator).takes(OK, "putTag", "Makes or replaces a tag.", words::put_tag),
        on(DELETE, TAG, Operator).does("deleteTag", "Removes a tag; conversations that have it keep it.", words::delete_tag),
        on(GET, organisation!("/canned"), Operator).answers("listCanned", "Shared canned messages.", words::list_canned).paged(),
        on(PUT, CANNED, Operator).takes(OK, "putCanned", "Makes or replaces a shared canned message.", words::put_canned),
        on(DELETE, CANNED, Operator).does("deleteCanned", "Removes a shared canned message.", words::delete_canned),
    ]
}
