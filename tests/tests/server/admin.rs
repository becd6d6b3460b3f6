//! The admin API: every route of its document, under every credential.

use jono_tests::client::Credential;
use jono_tests::http::{self, Answer};
use jono_tests::server::ROOT_KEY;
use jono_tests::world::{Organisation, World, id_of};
use jono_tests::{now_ms, schema};
use serde_json::{Value, json};

/// One of each thing that a path can name, in an organisation.
struct Things {
    organisation: Organisation,
    site: String,
    agent: String,
    token: String,
    queue: String,
}

impl Things {
    async fn of(world: &World, organisation: &Organisation) -> Self {
        let at = |rest: &str| format!("/v1/organisations/{}{rest}", organisation.id);
        let make = async |path: String, body: Value| world.server.root("POST", &path, Some(&body)).await.with_status(201);
        let agent = id_of(&make(at("/agents"), json!({ "name": "Extra" })).await["id"]);
        let token = id_of(&make(at(&format!("/agents/{agent}/tokens")), json!({ "label": "extra" })).await["id"]);
        let queue = id_of(&make(at("/queues"), json!({ "name": "Extra" })).await["id"]);
        let key = format!("extra-with-{queue}");
        let site = id_of(&make(at("/sites"), json!({ "key": key, "name": "Extra" })).await["id"]);
        for (path, body) in [("/tags/bug", json!({})), ("/canned/hello", json!({ "text": "Hello" }))] {
            world.server.root("PUT", &at(path), Some(&body)).await.with_status(200);
        }
        let organisation = organisation.clone();
        Self { organisation, site, agent, token, queue }
    }

    /// Sites are few: those that are not needed any more make room.
    async fn forget(&self, world: &World) {
        let path = format!("/v1/organisations/{}/sites/{}", self.organisation.id, self.site);
        world.server.root("DELETE", &path, None).await;
    }

    fn path(&self, template: &str) -> String {
        let values = [
            ("{organisation}", &self.organisation.id),
            ("{site}", &self.site),
            ("{agent}", &self.agent),
            ("{token}", &self.token),
            ("{queue}", &self.queue),
        ];
        let path = values.into_iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
        path.replace("{tag}", "bug").replace("{keyword}", "hello")
    }
}

fn body(operation: &str, unique: u64) -> Value {
    match operation {
        "createOrganisation" | "createQueue" | "putQueue" => json!({ "name": format!("New {unique}") }),
        "patchOrganisation" => json!({ "settings": { "offline_after_ms": 1_000 } }),
        "patchSettings" => json!({ "offline_after_ms": 2_000 }),
        "createSite" | "putSite" => json!({ "key": format!("new-{unique}"), "name": "New" }),
        "createAgent" | "putAgent" => json!({ "name": "New", "login": format!("new-{unique}") }),
        "createToken" => json!({ "label": "new" }),
        "putPassword" => json!({ "password": "correct horse" }),
        "putTag" => json!({ "group": "Subject", "colour": "#1a7f37" }),
        "putCanned" => json!({ "text": "Hello" }),
        other => panic!("{other} is not known here"),
    }
}

#[tokio::test]
async fn every_route_answers_as_documented_for_every_credential() {
    // Many changes, and none that must outlive the test.
    let world = World::with(&[("JONO_DURABILITY", "memory")]).await;
    let other = world.organisation("other").await;
    let api = http::request(world.server.address(), "GET", "/v1/openapi.json", None, None).await.with_status(200);
    let (acme, mut unique, mut tried) = (world.acme.clone(), 0, 0);
    let credentials = [
        ("root", Some(ROOT_KEY)),
        ("operator", Some(acme.olivia.token.as_str())),
        ("agent", Some(acme.anna.token.as_str())),
        ("another's operator", Some(other.olivia.token.as_str())),
        ("nobody", None),
        ("a wrong token", Some("jat_wrong")),
    ];
    let routes = api["paths"].as_object().expect("paths").iter().flat_map(|(path, operations)| {
        operations
            .as_object()
            .expect("operations")
            .iter()
            .map(move |(method, operation)| (path, method.to_uppercase(), operation))
    });
    for (path, method, operation) in routes {
        let name = operation["operationId"].as_str().expect("a name");
        if name == "signIn" {
            continue;
        }
        let right = operation["description"].as_str().expect("for whom");
        let responses = operation["responses"].as_object().expect("responses");
        let granted: u16 = responses.keys().find_map(|status| status.parse().ok()).expect("a status");
        let mut things = Things::of(&world, &acme).await;
        for (who, bearer) in credentials {
            if method == "DELETE" {
                things.forget(&world).await;
                things = Things::of(&world, &acme).await;
            }
            unique += 1;
            let body = operation.get("requestBody").map(|_| body(name, unique));
            let answer = http::request(world.server.address(), &method, &things.path(path), bearer, body.as_ref()).await;
            let expected = match (right, who) {
                ("For everybody.", _) => granted,
                (_, "nobody" | "a wrong token") => 401,
                ("For the root key.", "root") => granted,
                ("For the root key.", _) => 403,
                ("For the root key and the organisation's operators.", "root" | "operator") => granted,
                ("For the organisation's operators.", "operator") => granted,
                ("For the organisation's operators.", "root") => 403,
                (_, "agent") => 403,
                (_, "another's operator") => 404,
                _ => panic!("`{right}` is not known here"),
            };
            assert_eq!(answer.status, expected, "{name} as {who}: {answer:?}");
            check_body(&api, operation, &answer, name);
            tried += 1;
        }
        things.forget(&world).await;
    }
    assert!(tried > 200, "{tried}");
}

/// The body is what the document says for that status.
fn check_body(api: &Value, operation: &Value, answer: &Answer, name: &str) {
    let documented = operation["responses"].get(answer.status.to_string()).unwrap_or(&operation["responses"]["default"]);
    let documented = match documented["$ref"].as_str() {
        Some(reference) => api.pointer(&reference[1..]).expect("it leads somewhere"),
        None => documented,
    };
    let Some(described) = documented.pointer("/content/application~1json/schema") else {
        return;
    };
    schema::check(api, described, &answer.json()).unwrap_or_else(|why| panic!("{name}: {why}: {}", answer.body));
}

#[tokio::test]
async fn what_is_not_there_and_what_is_anothers_answer_alike() {
    let world = World::start().await;
    let other = world.organisation("other").await;
    let foreign = Things::of(&world, &other).await;
    let api = http::request(world.server.address(), "GET", "/v1/openapi.json", None, None).await.with_status(200);
    let id = |prefix: &str| format!("{prefix}abcdefghijklmnopqrstuvwxyz");
    let unknown = Things {
        site: id("site_"),
        agent: id("agt_"),
        token: id("tok_"),
        queue: id("q_"),
        organisation: Organisation { id: id("org_"), ..other.clone() },
    };
    for (path, operations) in api["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations").iter().filter(|_| path.contains("{organisation}"))
        {
            let name = operation["operationId"].as_str().expect("a name");
            let body = operation.get("requestBody").map(|_| body(name, 1));
            let ask = async |path: String| {
                let bearer = Some(world.acme.olivia.token.as_str());
                let answer = http::request(world.server.address(), &method.to_uppercase(), &path, bearer, body.as_ref()).await;
                (answer.status, answer.body)
            };
            let theirs = ask(foreign.path(path)).await;
            assert_eq!(theirs, ask(unknown.path(path)).await, "{name}");
            assert_eq!(theirs.0, 404, "{name}: {theirs:?}");
            // In one's own organisation, what belongs to another.
            let own = |things: &Things| things.path(path).replace(&things.organisation.id, &world.acme.id);
            if !method.eq_ignore_ascii_case("put")
                && path.matches('{').count() > 1
                && !path.contains("{tag}")
                && !path.contains("{keyword}")
            {
                let theirs = ask(own(&foreign)).await;
                assert_eq!(theirs, ask(own(&unknown)).await, "{name}, beside one's own");
                assert_eq!(theirs.0, 404, "{name}: {theirs:?}");
            }
        }
    }
}

#[tokio::test]
async fn agents_sign_in_with_name_and_password() {
    let world = World::start().await;
    let (acme, anna) = (&world.acme, &world.acme.anna);
    let password = format!("/v1/organisations/{}/agents/{}/password", acme.id, anna.id);
    let sign_in = async |login: &str, password: &str| {
        let body = json!({ "organisation": acme.id, "login": login, "password": password });
        http::request(world.server.address(), "POST", "/v1/sign-in", None, Some(&body)).await
    };
    assert_eq!(sign_in("anna", "correct horse").await.status, 401, "no password is set");
    world.server.root("PUT", &password, Some(&json!({ "password": "correct horse" }))).await.with_status(204);
    let signed_in = sign_in("anna", "correct horse").await.with_status(200);
    assert_eq!(signed_in["agent"]["id"], anna.id);
    assert!(signed_in["expires_at"].as_u64() > Some(now_ms()));
    let wrong = [sign_in("anna", "wrong horse").await, sign_in("nobody", "correct horse").await];
    assert_eq!((wrong[0].status, &wrong[0].body), (401, &wrong[1].body), "who exists is not told");
    let open = json!({ "role": "agent", "token": signed_in["token"] });
    let mut desk = world.open(Credential { params: open.clone(), role: "agent" }).await;
    assert_eq!(desk.opened["me"]["id"], anna.id);
    world.server.root("PUT", &password, Some(&json!({ "password": "another horse" }))).await.with_status(204);
    assert_eq!(desk.end().await.0, 4004, "a new password ends it");
    let mut late = world.stranger().await;
    late.refused_as("unauthorized", "session.open", open).await;
}

#[tokio::test]
async fn the_admin_api_says_what_is_wrong() {
    let world = World::start().await;
    let at = |rest: &str| format!("/v1/organisations/{}{rest}", world.acme.id);
    let queue = |settings: Value| Some(json!({ "name": "Q", "settings": settings }));
    let bad = [
        ("POST", at("/queues"), Some(json!({})), 422),
        ("POST", at("/queues"), Some(json!({ "name": "" })), 422),
        ("POST", at("/queues"), Some(json!({ "name": "Q", "colour": "red" })), 422),
        ("POST", at("/queues"), queue(json!({ "release_after_ms": 999 })), 422),
        ("POST", at("/queues"), queue(json!({ "release_after_ms": "long" })), 422),
        ("POST", at("/queues"), queue(json!({ "transfer_targets": ["q_abcdefghijklmnopqrstuvwxyz"] })), 422),
        ("POST", at("/sites"), Some(json!({ "key": world.acme.site, "name": "Twice" })), 409),
        ("POST", at("/agents"), Some(json!({ "name": "Anna", "login": "anna" })), 409),
        ("GET", at("/queues?limit=many"), None, 400),
        ("GET", at("/queues?cursor=made-up"), None, 400),
        ("DELETE", at(""), None, 405),
    ];
    for (method, path, body, status) in bad {
        let answer = world.server.root(method, &path, body.as_ref()).await;
        let is_wrong = (400..500).contains(&answer.status) && answer.json()["error"]["reason"].is_string();
        assert!(is_wrong, "{method} {path} {body:?}: {answer:?}");
        assert_eq!(answer.status, status, "{method} {path} {body:?}: {answer:?}");
    }
    let bearer = format!("Bearer {ROOT_KEY}");
    let json = ("Content-Type", "application/json");
    let raw = async |fields: &[(&str, &str)], body: &str| {
        let answer = http::try_request(world.server.address(), "POST", &at("/queues"), fields, Some(body)).await;
        answer.expect("an answer").status
    };
    let authorization = ("Authorization", bearer.as_str());
    assert_eq!(raw(&[authorization, json], "{").await, 400);
    assert_eq!(raw(&[authorization], "{}").await, 415);
    assert_eq!(raw(&[authorization, json], &" ".repeat(2 << 20)).await, 413);
    let made = [("Idempotency-Key", "once"), authorization, json];
    let first = http::try_request(world.server.address(), "POST", &at("/queues"), &made, Some(r#"{"name":"Once"}"#)).await;
    let again = http::try_request(world.server.address(), "POST", &at("/queues"), &made, Some(r#"{"name":"Once"}"#)).await;
    assert_eq!(first.expect("an answer").json()["id"], again.expect("an answer").json()["id"], "the first answer");
}
