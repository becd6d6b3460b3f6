//! From an HTTP request to the handler of its route: credentials, rights, bodies; and back to a response.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use jono_domain::account::{Role, Who};
use jono_domain::limits::KEY_CHARS_MAX;

use super::body::{read, unread};
use super::call::Call;
use super::problem::Problem;
use super::route::{Right, Route};
use super::state::State;

/// Puts the rows into an `App`, one resource for each path.
pub(super) fn install(state: &Arc<State>, routes: Vec<Route>, config: &mut ServiceConfig) {
    let mut paths: BTreeMap<&'static str, Vec<Rc<Route>>> = BTreeMap::new();
    for route in routes {
        paths.entry(route.path).or_default().push(Rc::new(route));
    }
    for (path, routes) in paths {
        let mut allowed = Vec::new();
        let mut resource = web::resource(path);
        for route in routes {
            for method in methods(&route) {
                allowed.push(method.to_string());
                let (state, route) = (Arc::clone(state), Rc::clone(&route));
                let handler = move |request: HttpRequest, path: PathWords, body: Payload| {
                    let (state, route) = (Arc::clone(&state), Rc::clone(&route));
                    // The names are the table's; the values come decoded, which `match_info` has them not.
                    let names = request.match_info().iter().map(|(name, _)| name.to_owned());
                    let path = names.zip(path.into_inner()).collect();
                    async move { guarded(respond(&state, &route, &request, path, body).await) }
                };
                resource = resource.route(web::method(method).to(handler));
            }
        }
        config.service(resource.default_service(not_allowed(allowed.join(", "))));
    }
    // Upgrades never come here: the socket layer has them.
    let upgrade_needed = web::get().to(|request: HttpRequest, body: Payload| async move {
        let message = "this is the address of WebSockets: ask with `Upgrade: websocket`";
        let mut response = Problem::new(StatusCode::UPGRADE_REQUIRED, "not_supported", message).response();
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        guarded(unread(&request, body, response))
    });
    config.service(web::resource(SOCKETS).route(upgrade_needed).default_service(not_allowed("GET".into())));
    let unknown = Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such path");
    let unknown = web::to(move |request: HttpRequest, body: Payload| {
        let response = unread(&request, body, unknown.response());
        async move { guarded(response) }
    });
    config.default_service(unknown);
}

/// Where the socket layer upgrades.
const SOCKETS: &str = "/v1/ws";

/// What a row is called with: what everybody may look at is asked for by `HEAD` as well, as probes do.
fn methods(route: &Route) -> Vec<Method> {
    let mut methods = vec![route.method.clone()];
    if route.method == Method::GET && route.right == Right::Public {
        methods.push(Method::HEAD);
    }
    methods
}

fn not_allowed(allowed: String) -> actix_web::Route {
    web::to(move |request: HttpRequest, body: Payload| {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not_supported", "this path does not know the method");
        let mut response = problem.response();
        if let Ok(allowed) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        let response = unread(&request, body, response);
        async move { guarded(response) }
    })
}

/// Nothing here is a page that may load, run or be framed; nothing may be kept by caches.
fn guarded(mut response: HttpResponse) -> HttpResponse {
    const HEADERS: [(HeaderName, HeaderValue); 4] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        ),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The values in the path, in order.
type PathWords = web::Path<Vec<String>>;

async fn respond(
    state: &Arc<State>,
    route: &Route,
    request: &HttpRequest,
    path: BTreeMap<String, String>,
    mut body: Payload,
) -> HttpResponse {
    let mut is_read = false;
    let mut who = None;
    let outcome = match call(state, route, request, path.clone()) {
        Ok(first) => {
            who = first.who;
            if route.body.is_none() {
                route.handle(first, Bytes::new()).await
            } else {
                match read(request, &mut body, state.body_within).await {
                    // That may have taken a while: who calls, and what there is, are looked at again.
                    Ok(body) => {
                        is_read = true;
                        match call(state, route, request, path) {
                            Ok(call) => route.handle(call, body).await,
                            Err(problem) => Err(problem),
                        }
                    }
                    Err(problem) => Err(problem),
                }
            }
        }
        Err(problem) => Err(problem),
    };
    let (status, response) = match outcome {
        Ok(page) => {
            let mut response = HttpResponse::build(page.status);
            if page.content_type.is_empty() {
                (page.status, response.finish())
            } else {
                (page.status, response.content_type(page.content_type).body(page.body))
            }
        }
        Err(problem) => (problem.status, problem.response()),
    };
    if route.method != Method::GET {
        let (status, path, who) = (status.as_u16(), request.path(), who.map(tracing::field::debug));
        tracing::info!(method = %route.method, path, who, status, "admin request");
    }
    if is_read { response } else { unread(request, body, response) }
}

/// Who calls, and may they?
fn call(state: &Arc<State>, route: &Route, request: &HttpRequest, path: BTreeMap<String, String>) -> Result<Call, Problem> {
    let directory = state.admin.directory();
    let who = if route.right == Right::Public { None } else { Some(credential(state, request)?) };
    let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string());
    let query = query.map_err(|_| Problem::bad_request("the query is not one of parameters"))?.into_inner();
    let organisation = match path.get("organisation") {
        None => None,
        Some(text) => text.parse().ok().and_then(|id| directory.organisation(id)).cloned(),
    };
    match (route.right, who) {
        (Right::Public, _) => {}
        (Right::Root, Some(Who::Root)) => {}
        (Right::Root, _) => return Err(Problem::forbidden()),
        (Right::Operator | Right::OperatorOnly, who) => {
            let organisation = organisation.as_ref().ok_or_else(Problem::not_found)?;
            match who {
                Some(Who::Root) if route.right == Right::Operator => {}
                Some(Who::Root) => return Err(Problem::forbidden()),
                Some(Who::Agent(own, agent)) if own == organisation.id => {
                    if organisation.account(agent).is_none_or(|account| account.role != Role::Operator) {
                        return Err(Problem::forbidden());
                    }
                }
                Some(Who::Agent(..) | Who::Customer(..) | Who::Engine) | None => return Err(Problem::not_found()),
            }
        }
    }
    let address = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let place = format!("{} {}", route.method, request.path());
    Ok(Call { who, found: organisation, path, query, key: key(request)?, place, address, state: Arc::clone(state) })
}

/// The credential in the `Authorization` header.
fn credential(state: &State, request: &HttpRequest) -> Result<Who, Problem> {
    let mut given = request.headers().get_all(AUTHORIZATION);
    let header = given.next().ok_or_else(|| Problem::unauthorized("an `Authorization: Bearer ...` header is needed"))?;
    let token = header.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.filter(|_| given.next().is_none());
    let token = token.ok_or_else(|| Problem::unauthorized("the `Authorization` header is not one of a bearer"))?;
    if state.auth.is_root(token) {
        return Ok(Who::Root);
    }
    let agent = state.auth.agent_for(&state.admin.directory(), token);
    agent
        .map(|(organisation, agent)| Who::Agent(organisation, agent))
        .ok_or_else(|| Problem::unauthorized("the token is not valid"))
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    let Some(header) = request.headers().get(NAME) else { return Ok(None) };
    let key = header.to_str().ok().filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()));
    let wrong = || Problem::bad_request(format!("`Idempotency-Key` is 1 to {KEY_CHARS_MAX} ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}
