//! Every route, called by everybody; and what the handlers make of good and bad requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use jono_domain::account::Who;
use jono_domain::message::Order;
use jono_domain::organisation::{Event, Organisation};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::time::Time;
use jono_domain::{Context, Machine, queue};
use jono_engine::directory::Directory;
use jono_engine::request::{Answer, Outcome};
use serde_json::{Value, json};

use super::engine::Admin;
use super::route::{Right, Route};
use super::{State, configure, openapi, table};
use crate::auth::Auth;
use crate::config::check_document;

/// The organisations' own machine, without shards and store.
#[derive(Default)]
pub(crate) struct FakeEngine {
    directory: Mutex<Arc<Directory>>,
    answers: Mutex<HashMap<(Who, String), Answer>>,
}

impl FakeEngine {
    fn decide(&self, who: Who, order: &Order) -> Answer {
        match order {
            Order::Organisation(id, command) => {
                let mut directory = self.directory.lock().unwrap();
                let mut state = directory.organisation(*id).map(|found| Organisation::clone(found)).unwrap_or_default();
                let context = Context { now: Time(1), who, organisation: None };
                for event in state.decide(*id, command, &context)? {
                    assert!(matches!(event, Event::Changed(_)));
                    state.evolve(&event);
                }
                *directory = Arc::new(directory.with(&state));
                Ok(Outcome::Reply(Reply::Done))
            }
            Order::Queue(_, command) if matches!(**command, queue::Command::SetOpen { .. }) => Ok(Outcome::Reply(Reply::Done)),
            Order::Queue(..) | Order::Agent(..) | Order::Customer(..) | Order::Conversation(..) => Err(Refusal::NotSupported),
        }
    }
}

impl FakeEngine {
    fn forget_keys(&self) {
        self.answers.lock().unwrap().clear();
    }
}

impl Admin for Arc<FakeEngine> {
    fn directory(&self) -> Arc<Directory> {
        FakeEngine::directory(self)
    }

    fn ask(&self, who: Who, key: Option<String>, order: Order) -> LocalBoxFuture<'_, Answer> {
        FakeEngine::ask(self, who, key, order)
    }
}

impl Admin for FakeEngine {
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.lock().unwrap())
    }

    fn ask(&self, who: Who, key: Option<String>, order: Order) -> LocalBoxFuture<'_, Answer> {
        let Some(key) = key else { return ready(self.decide(who, &order)).boxed_local() };
        assert!(key.len() <= jono_domain::limits::KEY_CHARS_MAX);
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.entry((who, key)).or_insert_with(|| self.decide(who, &order)).clone();
        ready(answer).boxed_local()
    }
}

const ROOT: &str = "root-key-of-the-tests-0123456789abcdef";

/// Two organisations with an operator and an agent each.
struct Stage {
    state: Arc<State>,
    fake: Arc<FakeEngine>,
    own: Side,
    other: Side,
}

struct Side {
    organisation: String,
    queue: String,
    site: String,
    agent: String,
    agent_secret: String,
    agent_token: String,
    operator_secret: String,
}

fn state() -> Arc<State> {
    state_over(&Arc::default())
}

fn state_over(fake: &Arc<FakeEngine>) -> Arc<State> {
    Arc::new(State::new(Arc::clone(fake), Arc::new(Auth::new([7; 32]).with_root_key(Some(ROOT))), false))
}

async fn stage() -> Stage {
    let fake = Arc::default();
    let state = state_over(&fake);
    let own = side(&state, "own").await;
    let other = side(&state, "other").await;
    put(&state, &own.at("/tags/word"), ROOT, json!({})).await;
    put(&state, &own.at("/canned/word"), ROOT, json!({ "text": "Text" })).await;
    Stage { state, fake, own, other }
}

async fn side(state: &Arc<State>, name: &str) -> Side {
    let made = |answer: (StatusCode, Value)| {
        assert_eq!(answer.0, StatusCode::CREATED, "{}", answer.1);
        answer.1
    };
    let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
    let at = "/v1/organisations";
    let organisation = text(&made(post(state, at, ROOT, json!({ "name": name })).await), "id");
    let at = format!("{at}/{organisation}");
    let queue = text(&made(post(state, &format!("{at}/queues"), ROOT, json!({ "name": "Queue" })).await), "id");
    let site = json!({ "key": name, "name": "Site" });
    let site = text(&made(post(state, &format!("{at}/sites"), ROOT, site).await), "id");
    let agent = json!({ "name": "Agent", "login": "agent", "queues": [queue] });
    let agent = text(&made(post(state, &format!("{at}/agents"), ROOT, agent).await), "id");
    let operator = json!({ "name": "Operator", "role": "operator" });
    let operator = text(&made(post(state, &format!("{at}/agents"), ROOT, operator).await), "id");
    let label = json!({ "label": "tests" });
    let token = made(post(state, &format!("{at}/agents/{agent}/tokens"), ROOT, label.clone()).await);
    let operators = made(post(state, &format!("{at}/agents/{operator}/tokens"), ROOT, label).await);
    Side {
        organisation,
        queue,
        site,
        agent,
        agent_secret: text(&token, "secret"),
        agent_token: text(&token, "id"),
        operator_secret: text(&operators, "secret"),
    }
}

impl Side {
    fn at(&self, rest: &str) -> String {
        format!("/v1/organisations/{}{rest}", self.organisation)
    }
}

async fn send(state: &Arc<State>, request: TestRequest) -> (StatusCode, Value) {
    let (status, _, body) = send_plainly(state, request).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn send_plainly(state: &Arc<State>, request: TestRequest) -> (StatusCode, BTreeMap<String, String>, Vec<u8>) {
    let state = Arc::clone(state);
    let app = init_service(App::new().configure(move |config| configure(&state, config))).await;
    let request = request.peer_addr("192.0.2.1:5".parse().unwrap());
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (status, headers, to_bytes(response.into_body()).await.unwrap().to_vec())
}

fn request(method: &Method, path: &str, bearer: &str) -> TestRequest {
    let request = TestRequest::with_uri(path).method(method.clone());
    if bearer.is_empty() { request } else { request.insert_header(("authorization", format!("Bearer {bearer}"))) }
}

async fn post(state: &Arc<State>, path: &str, bearer: &str, body: Value) -> (StatusCode, Value) {
    send(state, request(&Method::POST, path, bearer).set_json(body)).await
}

async fn put(state: &Arc<State>, path: &str, bearer: &str, body: Value) -> (StatusCode, Value) {
    send(state, request(&Method::PUT, path, bearer).set_json(body)).await
}

async fn get(state: &Arc<State>, path: &str, bearer: &str) -> (StatusCode, Value) {
    send(state, request(&Method::GET, path, bearer)).await
}

fn reason(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["error"]["reason"].as_str().unwrap_or("-"))
}

/// A body that a route accepts.
fn body(name: &str) -> Option<Value> {
    Some(match name {
        "createOrganisation" | "patchOrganisation" | "createQueue" | "putQueue" => json!({ "name": "Name" }),
        "patchSettings" => json!({ "offline_after_ms": 1000 }),
        "createSite" => json!({ "key": "new", "name": "New" }),
        "putSite" => json!({ "key": "newer", "name": "Newer" }),
        "createAgent" | "putAgent" => json!({ "name": "Name" }),
        "createToken" => json!({ "label": "label" }),
        "putPassword" => json!({ "password": "long enough" }),
        "putTag" => json!({ "group": "Group" }),
        "putCanned" => json!({ "text": "Text" }),
        _ => return None,
    })
}

#[actix_web::test]
async fn every_route_asks_for_its_right() {
    for route in table::routes().into_iter().filter(|route| route.right != Right::Public) {
        let name = route.name;
        let stage = stage().await;
        let (own, other) = (&stage.own, &stage.other);
        let foreign = if route.right == Right::Root { (403, "forbidden") } else { (404, "not_found") };
        for (bearer, expected) in [
            ("", (401, "unauthorized")),
            ("jat_guessed", (401, "unauthorized")),
            (&own.agent_secret, (403, "forbidden")),
            (&other.agent_secret, foreign),
            (&other.operator_secret, foreign),
        ] {
            assert_eq!(reason(&call(&stage, &route, bearer).await), expected, "{name}");
        }
        let operator = if route.right == Right::Root { StatusCode::FORBIDDEN } else { route.status };
        assert_eq!(call(&stage, &route, &own.operator_secret).await.0, operator, "{name}");
        // On another stage: some routes do what can be done once.
        let stage = self::stage().await;
        let root = if route.right == Right::OperatorOnly { StatusCode::FORBIDDEN } else { route.status };
        assert_eq!(call(&stage, &route, ROOT).await.0, root, "{name}");
        if route.method == Method::DELETE && !name.ends_with("Password") {
            assert_eq!(reason(&call(&stage, &route, ROOT).await), (404, "not_found"), "{name}: it is gone");
        }
    }
}

/// Calls a route on the stage's own side, with a body that it accepts.
async fn call(stage: &Stage, route: &Route, bearer: &str) -> (StatusCode, Value) {
    let own = &stage.own;
    let path = route.path.replace("{organisation}", &own.organisation).replace("{queue}", &own.queue);
    let path = path.replace("{site}", &own.site).replace("{agent}", &own.agent).replace("{token}", &own.agent_token);
    let path = path.replace("{tag}", "word").replace("{keyword}", "word");
    let (request, body) = (request(&route.method, &path, bearer), body(route.name));
    assert_eq!(body.is_some(), route.body.is_some(), "{}", route.name);
    let request = match body {
        Some(body) => request.set_json(body),
        None => request,
    };
    send(&stage.state, request).await
}

#[actix_web::test]
async fn foreign_ids_are_answered_like_unknown_ones() {
    let stage = stage().await;
    let (own, other) = (&stage.own, &stage.other);
    for route in table::routes().into_iter().filter(|route| route.path.matches('{').count() > 1 && !route.path.contains("{tag}"))
    {
        if route.path.contains("{keyword}") {
            continue;
        }
        let path = route.path.replace("{organisation}", &own.organisation).replace("{queue}", &other.queue);
        let path = path.replace("{site}", &other.site).replace("{agent}", &other.agent).replace("{token}", &other.agent_token);
        let request = request(&route.method, &path, &own.operator_secret);
        let request = match body(route.name) {
            Some(body) => request.set_json(body),
            None => request,
        };
        assert_eq!(reason(&send(&stage.state, request).await), (404, "not_found"), "{}", route.name);
    }
    let unknown = "/v1/organisations/org_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    for path in [unknown, "/v1/organisations/nonsense", &format!("{unknown}/queues")] {
        assert_eq!(reason(&get(&stage.state, path, ROOT).await), (404, "not_found"));
        assert_eq!(reason(&get(&stage.state, path, &own.operator_secret).await), (404, "not_found"));
    }
}

#[actix_web::test]
async fn what_is_put_is_what_is_got() {
    let stage = stage().await;
    let own = &stage.own;
    let queue = own.at(&format!("/queues/{}", own.queue));
    let settings = json!({ "release_after_ms": 60_000, "release_clock": "customer_waits", "waiting_max": 5, "transfer_targets": [own.queue] });
    let (status, put_queue) = put(&stage.state, &queue, ROOT, json!({ "name": "Other", "settings": settings })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(get(&stage.state, &queue, ROOT).await.1, put_queue);
    assert_eq!(put_queue["settings"]["release_clock"], "customer_waits");
    assert_eq!(put_queue["settings"]["close_after_ms"], 900_000);
    let agent = own.at(&format!("/agents/{}", own.agent));
    let form = json!({ "name": "Äänna", "kind": "bot", "queues": [own.queue], "login": "anna", "disabled": true });
    let (_, shown) = put(&stage.state, &agent, ROOT, form).await;
    assert_eq!(shown["tokens"][0]["id"], json!(own.agent_token), "credentials stay");
    assert_eq!(get(&stage.state, &agent, ROOT).await.1, shown);
    assert_eq!(reason(&get(&stage.state, &agent, &own.agent_secret).await), (401, "unauthorized"), "disabled");
    put(&stage.state, &own.at("/tags/r%C3%A4tsel%2F1"), ROOT, json!({ "colour": "#fff" })).await;
    let tags = get(&stage.state, &own.at("/tags"), ROOT).await.1;
    assert_eq!(
        tags,
        json!({ "items": [{ "tag": "rätsel/1", "group": null, "colour": "#fff" }, { "tag": "word", "group": null, "colour": null }] })
    );
}

#[actix_web::test]
async fn an_id_that_was_removed_is_made_again_by_nobody() {
    let stage = stage().await;
    let (own, other) = (&stage.own, &stage.other);
    for (list, id, body) in [
        ("queues", &own.queue, json!({ "name": "Again" })),
        ("sites", &own.site, json!({ "key": "again", "name": "Again" })),
        ("agents", &own.agent, json!({ "name": "Again" })),
    ] {
        let rest = format!("/{list}/{id}");
        assert_eq!(send(&stage.state, request(&Method::DELETE, &own.at(&rest), ROOT)).await.0, StatusCode::NO_CONTENT);
        for (at, bearer) in [
            (other.at(&rest), other.operator_secret.as_str()),
            (other.at(&rest), ROOT),
            (own.at(&rest), own.operator_secret.as_str()),
            (own.at(&rest), ROOT),
        ] {
            assert_eq!(reason(&put(&stage.state, &at, bearer, body.clone()).await), (404, "not_found"), "{at}");
            assert_eq!(reason(&get(&stage.state, &at, bearer).await), (404, "not_found"), "{at}");
        }
        let listed = get(&stage.state, &other.at(&format!("/{list}")), ROOT).await.1.to_string();
        assert!(!listed.contains(id.as_str()), "{listed}");
    }
}

#[actix_web::test]
async fn what_a_put_of_an_agent_leaves_out_stays() {
    let stage = stage().await;
    let own = &stage.own;
    let agent = own.at(&format!("/agents/{}", own.agent));
    let before = get(&stage.state, &agent, ROOT).await.1;
    let (status, mut after) = put(&stage.state, &agent, ROOT, json!({ "name": "Other" })).await;
    assert_eq!((status, &after["name"]), (StatusCode::OK, &json!("Other")));
    after["name"] = before["name"].clone();
    assert_eq!(after, before);
    let taken = put(&stage.state, &agent, ROOT, json!({ "name": "Other", "login": null, "queues": [] })).await.1;
    assert_eq!((&taken["login"], &taken["queues"]), (&Value::Null, &json!([])));
    assert_eq!(reason(&put(&stage.state, &agent, ROOT, json!({ "login": "anna" })).await), (422, "invalid"));
}

#[actix_web::test]
async fn the_last_enabled_operator_stays_one() {
    let stage = stage().await;
    let own = &stage.own;
    let made = async |body: Value| {
        let answer = post(&stage.state, &own.at("/agents"), ROOT, body).await.1;
        own.at(&format!("/agents/{}", answer["id"].as_str().unwrap()))
    };
    let agents = get(&stage.state, &own.at("/agents"), ROOT).await.1;
    let last = agents["items"].as_array().unwrap().iter().find(|agent| agent["role"] == "operator").unwrap();
    let last = own.at(&format!("/agents/{}", last["id"].as_str().unwrap()));
    made(json!({ "name": "Away", "role": "operator", "disabled": true })).await;
    for body in [json!({ "name": "O", "role": "agent" }), json!({ "name": "O", "disabled": true })] {
        let refused = put(&stage.state, &last, &own.operator_secret, body).await;
        assert_eq!(reason(&refused), (409, "conflict"));
        assert!(refused.1.to_string().contains("last enabled operator"), "{}", refused.1);
    }
    let delete = async || send(&stage.state, request(&Method::DELETE, &last, &own.operator_secret)).await;
    assert_eq!(reason(&delete().await), (409, "conflict"));
    assert_eq!(put(&stage.state, &last, &own.operator_secret, json!({ "name": "Renamed" })).await.0, StatusCode::OK);
    made(json!({ "name": "Second", "role": "operator" })).await;
    assert_eq!(put(&stage.state, &last, ROOT, json!({ "name": "O", "role": "agent" })).await.0, StatusCode::OK);
}

#[actix_web::test]
async fn a_key_does_not_bring_back_a_token_that_was_removed() {
    let stage = stage().await;
    let own = &stage.own;
    let tokens = own.at(&format!("/agents/{}/tokens", own.agent));
    let make = async || {
        let request = request(&Method::POST, &tokens, ROOT).insert_header(("idempotency-key", "k"));
        send(&stage.state, request.set_json(json!({ "label": "one" }))).await
    };
    let first = make().await.1;
    assert_eq!(make().await.1, first);
    let token = format!("{tokens}/{}", first["id"].as_str().unwrap());
    assert_eq!(send(&stage.state, request(&Method::DELETE, &token, ROOT)).await.0, StatusCode::NO_CONTENT);
    let again = make().await;
    assert_eq!(reason(&again), (409, "conflict"));
    assert!(!again.1.to_string().contains("jat_"), "{}", again.1);
    // The engine has forgotten the key, a day later.
    stage.fake.forget_keys();
    let later = make().await.1;
    assert_eq!(later["id"], first["id"]);
    assert_ne!(later["secret"], first["secret"]);
    let bearer = |made: &Value| made["secret"].as_str().unwrap().to_owned();
    assert_eq!(reason(&get(&stage.state, &own.at(""), &bearer(&first)).await), (401, "unauthorized"));
    assert_eq!(reason(&get(&stage.state, &own.at(""), &bearer(&later)).await), (403, "forbidden"), "known, but no operator");
}

#[actix_web::test]
async fn origins_of_sites_are_origins() {
    let stage = stage().await;
    let site = stage.own.at(&format!("/sites/{}", stage.own.site));
    let with = |origin: &str| json!({ "key": "own", "name": "Site", "origins": ["https://shop.example", origin] });
    for bad in ["garbage", "", "https://", "https://shop.example/", "https://Shop.example", "ftp://shop.example", "*"] {
        let answer = put(&stage.state, &site, ROOT, with(bad)).await;
        assert_eq!((reason(&answer), &answer.1["error"]["field"]), ((400, "invalid"), &json!("origins")), "{bad}");
    }
    assert_eq!(put(&stage.state, &site, ROOT, with("http://localhost:3000")).await.0, StatusCode::OK);
}

#[actix_web::test]
async fn probes_ask_by_head_and_sockets_are_told_how_to_upgrade() {
    let state = state();
    state.set_ready(true);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(send(&state, request(&Method::HEAD, path, "")).await.0, StatusCode::OK, "{path}");
    }
    let (status, headers, body) = send_plainly(&state, request(&Method::GET, "/v1/ws", "")).await;
    assert_eq!((status.as_u16(), headers["upgrade"].as_str()), (426, "websocket"));
    assert!(String::from_utf8(body).unwrap().contains("Upgrade: websocket"));
    let (status, headers, _) = send_plainly(&state, request(&Method::POST, "/v1/ws", "")).await;
    assert_eq!((status.as_u16(), headers["allow"].as_str()), (405, "GET"));
}

#[actix_web::test]
async fn lists_come_in_pages() {
    let stage = stage().await;
    let tags = stage.own.at("/tags");
    for tag in ["a", "b"] {
        put(&stage.state, &format!("{tags}/{tag}"), ROOT, json!({})).await;
    }
    let page = async |query: &str| get(&stage.state, &format!("{tags}{query}"), ROOT).await;
    let (_, first) = page("?limit=2").await;
    assert_eq!((first["items"].as_array().unwrap().len(), &first["cursor"]), (2, &json!("b")));
    let (_, rest) = page("?limit=2&cursor=b").await;
    assert_eq!((rest["items"].as_array().unwrap().len(), rest.get("cursor")), (1, None));
    for (query, field) in [("?limit=0", "limit"), ("?limit=x", "limit"), ("?offset=1", "offset")] {
        let answer = page(query).await;
        assert_eq!(reason(&answer), (400, "invalid"));
        assert_eq!(answer.1["error"]["field"], field);
    }
}

#[actix_web::test]
async fn a_repeated_key_gives_the_first_answer() {
    let stage = stage().await;
    let call = async |path: &str, key: &str, body: Value| {
        let request = request(&Method::POST, path, ROOT).insert_header(("idempotency-key", key)).set_json(body);
        send(&stage.state, request).await
    };
    let tokens = stage.own.at(&format!("/agents/{}/tokens", stage.own.agent));
    let first = call(&tokens, "k1", json!({ "label": "one" })).await;
    assert_eq!(call(&tokens, "k1", json!({ "label": "one" })).await, first);
    let second = call(&tokens, "k2", json!({ "label": "one" })).await;
    assert_ne!(second.1["id"], first.1["id"]);
    assert_ne!(second.1["secret"], first.1["secret"]);
    let queues = stage.own.at("/queues");
    let made = call(&queues, "k1", json!({ "name": "By key" })).await;
    assert_eq!(made.0, StatusCode::CREATED, "the same key on another route is another request");
    assert_eq!(call(&queues, "k1", json!({ "name": "By key" })).await, made);
    assert_eq!(get(&stage.state, &queues, ROOT).await.1["items"].as_array().unwrap().len(), 2);
    let long = "k".repeat(65);
    assert_eq!(reason(&call(&queues, &long, json!({ "name": "x" })).await), (400, "invalid"));
    let queue = stage.own.at(&format!("/queues/{}", made.1["id"].as_str().unwrap()));
    for _ in 0..2 {
        let request = request(&Method::DELETE, &queue, ROOT).insert_header(("idempotency-key", "k3"));
        assert_eq!(send(&stage.state, request).await.0, StatusCode::NO_CONTENT);
    }
}

#[actix_web::test]
async fn bad_bodies_are_told_what_is_wrong() {
    let stage = stage().await;
    let queues = stage.own.at("/queues");
    let plain = |text: &str, content_type: &'static str| {
        request(&Method::POST, &queues, ROOT).insert_header(("content-type", content_type)).set_payload(text.to_owned())
    };
    for (text, status, field) in [
        ("{", 400, None),
        ("", 400, None),
        ("[]", 422, None),
        ("{}", 422, Some("name")),
        (r#"{"name": "Q", "nme": 1}"#, 422, Some("nme")),
        (r#"{"name": 1}"#, 422, None),
        (r#"{"name": ""}"#, 422, Some("name")),
        (r#"{"name": "Q", "settings": {"release_after_ms": 1}}"#, 422, Some("release_after_ms")),
        (r#"{"name": "Q", "settings": {"transfer_targets": ["q_x"]}}"#, 422, None),
    ] {
        let answer = send(&stage.state, plain(text, "application/json; charset=utf-8")).await;
        assert_eq!(reason(&answer), (status, "invalid"), "{text}: {}", answer.1);
        assert_eq!(answer.1["error"]["field"].as_str(), field, "{text}");
    }
    assert_eq!(reason(&send(&stage.state, plain(r#"{"name":"Q"}"#, "text/plain")).await), (415, "invalid"));
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(super::BODY_BYTES_MAX));
    assert_eq!(reason(&send(&stage.state, plain(&large, "application/json")).await), (413, "too_large"));
    let site = json!({ "key": "other", "name": "Taken" });
    let taken = post(&stage.state, &stage.own.at("/sites"), ROOT, site).await;
    assert_eq!(reason(&taken), (409, "conflict"));
    assert_eq!(taken.1["error"]["field"], "key");
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_refused_in_json_with_safe_headers() {
    let state = state();
    assert_eq!(reason(&get(&state, "/v2", "").await), (404, "not_found"));
    let (status, headers, _) = send_plainly(&state, request(&Method::DELETE, "/v1/organisations", ROOT)).await;
    assert_eq!((status.as_u16(), headers["allow"].as_str()), (405, "GET, POST"));
    for path in ["/", "/v1/openapi.json", "/v1/organisations", "/nothing"] {
        let (_, headers, _) = send_plainly(&state, request(&Method::GET, path, "")).await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers["content-security-policy"].starts_with("default-src 'none'"), "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let (_, headers, _) = send_plainly(&state, request(&Method::GET, "/v1/organisations", "")).await;
    assert_eq!(headers["www-authenticate"], "Bearer");
}

#[actix_web::test]
async fn the_desk_signs_in_with_name_and_password() {
    let stage = stage().await;
    let own = &stage.own;
    let password = own.at(&format!("/agents/{}/password", own.agent));
    assert_eq!(reason(&put(&stage.state, &password, ROOT, json!({ "password": "short" })).await), (422, "invalid"));
    assert_eq!(put(&stage.state, &password, ROOT, json!({ "password": "correct horse" })).await.0, StatusCode::NO_CONTENT);
    let sign_in = async |organisation: &str, login: &str, password: &str| {
        let form = json!({ "organisation": organisation, "login": login, "password": password });
        post(&stage.state, "/v1/sign-in", "", form).await
    };
    let (status, signed_in) = sign_in(&own.organisation, "agent", "correct horse").await;
    assert_eq!((status, &signed_in["agent"]["id"]), (StatusCode::OK, &json!(own.agent)));
    let token = signed_in["token"].as_str().unwrap();
    assert_eq!(reason(&get(&stage.state, &own.at(""), token).await), (403, "forbidden"), "known, but no operator");
    let wrong = sign_in(&own.organisation, "agent", "wrong horse").await;
    assert_eq!(reason(&wrong), (401, "unauthorized"));
    assert_eq!(sign_in(&own.organisation, "nobody", "wrong horse").await, wrong);
    assert_eq!(sign_in(&stage.other.organisation, "agent", "correct horse").await, wrong, "no password there");
    assert_eq!(sign_in("org_aaaaaaaaaaaaaaaaaaaaaaaaaa", "agent", "correct horse").await, wrong);
    put(&stage.state, &password, ROOT, json!({ "password": "another horse" })).await;
    assert_eq!(reason(&get(&stage.state, &own.at(""), token).await), (401, "unauthorized"), "a new password ends it");
}

#[actix_web::test]
async fn guessing_passwords_is_slowed_down() {
    let state = state();
    let form = |login: &str| json!({ "organisation": "org_aaaaaaaaaaaaaaaaaaaaaaaaaa", "login": login, "password": "guess" });
    assert_eq!(reason(&post(&state, "/v1/sign-in", "", form("a")).await), (401, "unauthorized"));
    // At once, which passwords take too long for.
    let organisation = "org_aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
    while state.may_sign_in("192.0.2.1".parse().unwrap(), organisation, "a").is_ok() {}
    let (status, headers, _) = send_plainly(&state, request(&Method::POST, "/v1/sign-in", "").set_json(form("a"))).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers["retry-after"].parse::<u64>().unwrap() >= 1);
    assert_eq!(reason(&post(&state, "/v1/sign-in", "", form("b")).await), (401, "unauthorized"));
}

#[actix_web::test]
async fn operators_of_the_server_see_its_health_and_numbers() {
    let state = state();
    assert_eq!(get(&state, "/healthz", "").await.0, StatusCode::OK);
    assert_eq!(get(&state, "/readyz", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
    state.set_ready(true);
    assert_eq!(get(&state, "/readyz", "").await.0, StatusCode::OK);
    let (_, headers, body) = send_plainly(&state, request(&Method::GET, "/metrics", "")).await;
    let text = String::from_utf8(body).unwrap();
    assert!(headers["content-type"].starts_with("application/openmetrics-text"));
    for line in ["jono_ready 1", "jono_sockets_open 0", "jono_sockets_accepted_total 0", "# EOF"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_openapi_document_has_every_route_once_and_no_other() {
    let document = openapi();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.insert((path.clone(), method.to_uppercase()));
            let named: Vec<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|it| it["in"] == "path")
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            assert!(named.iter().all(|name| path.contains(&format!("{{{name}}}"))));
            assert_eq!(named.len(), path.matches('{').count());
        }
    }
    let routes = table::routes();
    let served: BTreeSet<_> = routes.iter().map(|route| (route.path.to_owned(), route.method.to_string())).collect();
    assert_eq!(described, served);
    assert_eq!(served.len(), routes.len(), "a method and path is in the table once");
    let names: BTreeSet<_> = routes.iter().map(|route| route.name).collect();
    assert_eq!(names.len(), routes.len());
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schemas.contains_key(reference), "{reference}");
    }
}

#[test]
fn the_openapi_document_in_docs_is_as_generated() {
    check_document("docs/openapi.json", &format!("{:#}\n", openapi()));
}
