//! Sessions over the real engine and a store in memory; only the sockets are fakes.

use std::collections::HashMap;
use std::time::Duration;

use jono_domain::organisation::{Change, Command};
use jono_engine::{Engine, EngineConfig};
use jono_store::MemoryStore;

use super::*;

/// What is told to sockets, until the test hands it over.
type Post = Arc<Mutex<Vec<(u64, Told)>>>;

struct Real {
    gateway: Arc<Gateway>,
    post: Post,
    peers: HashMap<u64, (Life, Wire)>,
    tokens: BTreeMap<&'static str, String>,
}

/// A socket with a number.
#[derive(Default)]
struct Wire {
    number: u64,
    sink: FakeSink,
}

impl Sink for Wire {
    fn id(&self) -> u64 {
        self.number
    }
    fn send(&mut self, text: Text) {
        self.sink.send(text);
    }
    fn close(&mut self, code: u16, reason: &'static str) {
        self.sink.close(code, reason);
    }
    fn confirm_open(&mut self) {
        self.sink.confirm_open();
    }
    fn tell_when_drained(&mut self) {}
    fn outbox_bytes(&self) -> usize {
        0
    }
}

impl Real {
    async fn start() -> Self {
        let engine = Engine::start(Arc::new(MemoryStore::new()), EngineConfig::default()).await.unwrap();
        let mut tokens = BTreeMap::new();
        let settings = fixture(&mut tokens);
        let mut changes = vec![Change::Create { organisation: organisation(), name: "Shop".into() }];
        changes.extend(settings.queues.iter().map(|(queue, it)| Change::PutQueue { queue: *queue, config: Some(it.clone()) }));
        changes.extend(settings.sites.iter().map(|(site, it)| Change::PutSite { site: *site, config: Some(it.clone()) }));
        for (agent, account) in &settings.accounts {
            changes.push(Change::PutAgent { agent: *agent, account: Some(Box::new(account.clone())) });
            let put =
                |(id, token): (&TokenId, &Token)| Change::PutToken { agent: *agent, token_id: *id, token: Some(token.clone()) };
            changes.extend(account.tokens.iter().map(put));
        }
        for change in changes {
            let order = Order::Organisation(organisation(), Box::new(Command::Change(Box::new(change))));
            engine.ask(Who::Root, None, order).await.unwrap();
        }
        let post = Post::default();
        let kept = Arc::clone(&post);
        let tell = move |told: &mut dyn Iterator<Item = (u64, Told)>| kept.lock().unwrap().extend(told);
        let auth = Arc::new(Auth::new(engine.secret()));
        let gateway = Gateway::attach_to(engine, auth, SessionSettings::default(), Arc::new(tell));
        Self { gateway, post, peers: HashMap::new(), tokens }
    }

    fn connect(&mut self, number: u64) {
        let mut wire = Wire { number, ..Wire::default() };
        let mut life = Life::new(Arc::clone(&self.gateway), None, None);
        life.opened(&mut wire);
        self.peers.insert(number, (life, wire));
    }

    fn disconnect(&mut self, number: u64) {
        self.peers.remove(&number).unwrap().0.closed(jono_socket::Closed::Lost);
    }

    fn post(&mut self) {
        for (socket, told) in std::mem::take(&mut *self.post.lock().unwrap()) {
            if let Some((life, wire)) = self.peers.get_mut(&socket) {
                life.told(told, crate::auth::now(), wire);
            }
        }
    }

    /// Waits until the peer has been sent something that fits, and takes it with all before it.
    async fn until(&mut self, number: u64, what: &str, fits: impl Fn(&Value) -> bool) -> (Vec<Value>, Value) {
        for _ in 0..1_000 {
            self.post();
            let sent = &mut self.peers.get_mut(&number).unwrap().1.sink.sent;
            if let Some(at) = sent.iter().position(&fits) {
                let before = sent.drain(..at).collect();
                return (before, sent.remove(0));
            }
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{number} was not told {what}: {:#?}", self.peers[&number].1.sink.sent);
    }

    async fn ask(&mut self, number: u64, method: &str, params: Value) -> Value {
        let id = format!("{method}#{}", crate::auth::random_bits());
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let (life, wire) = self.peers.get_mut(&number).unwrap();
        life.received(&request.to_string(), crate::auth::now(), wire);
        // Notifications stay where they are.
        for _ in 0..1_000 {
            self.post();
            let sent = &mut self.peers.get_mut(&number).unwrap().1.sink.sent;
            if let Some(at) = sent.iter().position(|it| it["id"] == id) {
                return sent.remove(at);
            }
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{number} was not answered {method}: {:#?}", self.peers[&number].1.sink.sent);
    }

    async fn event(&mut self, number: u64, kind: &str) -> Value {
        let is_it = |it: &Value| it["method"] == "conversation.event" && it["params"]["type"] == kind;
        self.until(number, kind, is_it).await.1["params"].clone()
    }
}

#[actix::test]
async fn a_customer_is_served_and_both_come_back() {
    let mut world = Real::start().await;
    world.connect(1);
    world.connect(2);
    let customer = world.ask(1, "session.open", json!({ "role": "customer", "site": "demo", "name": "Eve" })).await;
    assert_eq!(customer["result"]["queues"].as_array().unwrap().len(), 2, "{customer}");
    let token = world.tokens["Ann"].clone();
    let agent = world.ask(2, "session.open", json!({ "role": "agent", "token": token })).await;
    assert_eq!(agent["result"]["queues"][0]["name"], "Help", "{agent}");

    let start = json!({ "queue": queue(1).to_string(), "message": "Hello?", "key": "s1" });
    let started = world.ask(1, "conversation.start", start.clone()).await;
    assert_eq!(started["result"]["state"], "waiting", "{started}");
    let id = started["result"]["conversation"].as_str().unwrap().to_owned();
    assert_eq!(world.ask(1, "conversation.start", start).await["result"]["conversation"], *id, "the same key is the same start");
    let (_, followed) = world.until(1, "followed", |it| it["method"] == "conversation.followed").await;
    assert_eq!((&followed["params"]["id"], &followed["params"]["from_seq"]), (&json!(id), &json!(0)));
    for kind in ["started", "queued", "message"] {
        world.event(1, kind).await;
    }
    world.until(2, "a row", |it| it["method"] == "conversation.updated" && it["params"]["conversations"][0]["id"] == *id).await;

    let picked = world.ask(2, "queue.pick", json!({ "queue": queue(1).to_string(), "key": "p1" })).await;
    assert_eq!((&picked["result"]["conversation"], &picked["result"]["claim"]), (&json!(id), &json!(1)), "{picked}");
    world.until(2, "followed", |it| it["method"] == "conversation.followed").await;
    assert_eq!(world.event(2, "started").await["prev"], 0);
    world.event(2, "claimed").await;
    assert_eq!(world.event(1, "claimed").await["body"]["agent"]["name"], "Ann");

    let lost = world.ask(2, "message.send", json!({ "conversation": id, "text": "Hi", "claim": 9 })).await;
    assert_eq!(lost["error"]["data"]["reason"], "claim_lost", "{lost}");
    let sent = world.ask(2, "message.send", json!({ "conversation": id, "text": "Hi", "claim": 1, "key": "m" })).await;
    let seq = sent["result"]["seq"].as_u64().unwrap();
    assert_eq!(world.event(1, "message").await["seq"], seq);
    world.ask(2, "note.add", json!({ "conversation": id, "text": "difficult" })).await;
    let typed = world.ask(1, "typing.set", json!({ "conversation": id, "typing": true })).await;
    assert_eq!(typed["result"], json!({}), "{typed}");
    world.until(2, "typing", |it| it["method"] == "typing.changed").await;

    // The customer's connection breaks, the agent goes on, and the customer comes back.
    world.disconnect(1);
    world.ask(2, "message.send", json!({ "conversation": id, "text": "Still there?" })).await;
    world.connect(3);
    let resume = customer["result"]["resume"].clone();
    let since = json!({ &id: seq });
    let back = json!({ "role": "customer", "site": "demo", "resume": resume, "since": since });
    let back = world.ask(3, "session.open", back).await;
    assert_eq!(back["result"]["resumed"], true, "{back}");
    assert_eq!(back["result"]["conversations"][0]["from_seq"], seq);
    let missed = world.event(3, "message").await;
    assert_eq!(
        (&missed["seq"], &missed["prev"], &missed["body"]["text"]),
        (&json!(seq + 2), &json!(seq), &json!("Still there?"))
    );

    // So does the agent, without knowing anything.
    world.connect(4);
    let token = world.tokens["Ann"].clone();
    let again = world.ask(4, "session.open", json!({ "role": "agent", "token": token })).await;
    let held = &again["result"]["conversations"][0];
    assert_eq!((&held["id"], &held["holder"]["name"], &held["from_seq"]), (&json!(id), &json!("Ann"), &json!(0)), "{again}");
    let mut prev = 0;
    for seq in 1..=seq + 2 {
        let fits = move |it: &Value| it["method"] == "conversation.event" && it["params"]["seq"] == seq;
        let (_, event) = world.until(4, "events in order", fits).await;
        assert_eq!(event["params"]["prev"], prev);
        prev = seq;
    }
    let page = world.ask(4, "conversation.history", json!({ "conversation": id, "before": 4, "limit": 2 })).await;
    assert_eq!(page["result"]["events"][0]["seq"], 2, "{page}");
    let list = world.ask(4, "conversation.list", json!({ "view": "mine" })).await;
    assert_eq!(list["result"]["conversations"][0]["id"], *id, "{list}");
    let found = world.ask(4, "conversation.search", json!({ "text": "still" })).await;
    assert_eq!(found["result"]["hits"][0]["event"]["body"]["text"], "Still there?", "{found}");
    let agents = world.ask(4, "agent.list", json!({})).await;
    assert_eq!(agents["result"]["agents"][0]["status"], "online", "{agents}");
    let queues = world.ask(4, "queue.list", json!({})).await;
    assert_eq!(queues["result"]["queues"][0]["active"], 1, "{queues}");

    let left = world.ask(3, "conversation.leave", json!({ "conversation": id, "key": "l" })).await;
    assert_eq!(left["result"]["seq"], seq + 3, "{left}");
    assert_eq!(world.event(2, "closed").await["body"]["cause"], "customer");
    let rated = world.ask(3, "conversation.rate", json!({ "conversation": id, "rating": 5 })).await;
    assert_eq!(rated["result"]["seq"], seq + 4, "{rated}");
    let closed = world.ask(3, "message.send", json!({ "conversation": id, "text": "x" })).await;
    assert_eq!(closed["error"]["data"]["reason"], "conversation_closed");
    // What belongs to others is not there.
    world.connect(5);
    world.ask(5, "session.open", json!({ "role": "customer", "site": "demo" })).await;
    for method in ["conversation.get", "conversation.follow", "conversation.history", "conversation.leave"] {
        let foreign = world.ask(5, method, json!({ "conversation": id })).await;
        assert_eq!(foreign["error"]["data"]["reason"], "not_found", "{method} {foreign}");
    }
}
