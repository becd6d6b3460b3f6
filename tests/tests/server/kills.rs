//! `kill -9` at any moment: what was acknowledged is there, what was repeated was done once (G1, G2, G7).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jono_tests::client::{Client, Refused};
use jono_tests::now_ms;
use jono_tests::view::assert_same;
use jono_tests::world::{World, id_of};
use serde_json::{Value, json};

/// A crowd that may write as much as it likes.
const PLENTY: [(&str, &str); 2] =
    [("JONO_SESSIONS_CUSTOMER_WRITES_PER_MINUTE", "1000000"), ("JONO_SESSIONS_CUSTOMER_WRITES_BURST", "10000")];

/// Numbers that look random; the seed is told, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = now_ms();
        eprintln!("seed {seed}");
        Self(seed | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One author who writes numbered messages, each under a key, and remembers what was acknowledged.
struct Writer {
    client: Client,
    name: &'static str,
    conversation: String,
    next: u64,
    under_way: BTreeMap<u64, u64>,
    acknowledged: BTreeMap<u64, Value>,
}

impl Writer {
    fn request(&self, number: u64) -> Value {
        let (text, key) = (format!("{} {number}", self.name), format!("key {number}"));
        json!({ "conversation": self.conversation, "text": text, "key": key })
    }

    async fn write(&mut self, count: u64) {
        for _ in 0..count {
            let id = self.client.ask("message.send", self.request(self.next)).await;
            self.under_way.insert(self.next, id);
            self.next += 1;
        }
    }

    /// Takes this many answers, as they come in order; all there are when the connection has ended.
    async fn acknowledge(&mut self, count: usize) {
        for _ in 0..count {
            let Some((number, id)) = self.under_way.first_key_value().map(|(number, id)| (*number, *id)) else { return };
            match self.client.answer_if_any(id).await {
                Some(answer) => {
                    self.under_way.remove(&number);
                    self.acknowledged.insert(number, answer.expect("a message is taken"));
                }
                None => return,
            }
        }
    }

    /// Comes back, and repeats everything: what was not answered, and what was.
    async fn come_back(&mut self) {
        assert_eq!(self.client.resume().await["resumed"], true);
        self.under_way.clear();
        for number in 0..self.next {
            let answer = self.client.ok("message.send", self.request(number)).await;
            let first = self.acknowledged.entry(number).or_insert_with(|| answer.clone());
            assert_eq!(*first, answer, "the first answer, for {} {number}", self.name);
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_repeated_is_doubled() {
    let mut dice = Dice::new();
    let mut world = World::with(&PLENTY).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.catch_up(&conversation).await;
    let writer = |client, name| Writer {
        client,
        name,
        conversation: conversation.clone(),
        next: 0,
        under_way: BTreeMap::new(),
        acknowledged: BTreeMap::new(),
    };
    let mut writers = [writer(vera, "Vera"), writer(anna, "Anna")];
    for _ in 0..4 {
        for writer in &mut writers {
            writer.write(20).await;
        }
        for writer in &mut writers {
            writer.acknowledge(dice.below(20) as usize).await;
        }
        world.server.kill9();
        for writer in &mut writers {
            writer.acknowledge(usize::MAX).await;
        }
        world.server.restart().await;
        for writer in &mut writers {
            writer.come_back().await;
        }
    }
    let mut views = Vec::new();
    for writer in &mut writers {
        writer.client.catch_up(&conversation).await;
        let view = writer.client.view(&conversation).clone();
        assert_eq!(view.gaps, []);
        for (number, answer) in &writer.acknowledged {
            let event = &view.events[&answer["seq"].as_u64().expect("a number")];
            assert_eq!(event["body"]["text"], format!("{} {number}", writer.name));
            assert_eq!(event["at"], answer["at"]);
        }
        views.push(view);
    }
    assert_same(&views[0], &views[1]);
    assert_eq!(views[0].texts().len(), 1 + 2 * 80, "each message once");
}

/// Clients of a server that is killed now and then.
struct Unlucky {
    world: World,
    dice: Dice,
    clients: Vec<Client>,
    deeds: u64,
    kills: u64,
}

impl Unlucky {
    /// Something is asked, perhaps killed under way, and then asked again. The answer, which is the first one.
    async fn attempt(&mut self, who: usize, method: &str, mut params: Value) -> Result<Value, Refused> {
        self.deeds += 1;
        params["key"] = json!(format!("deed {}", self.deeds));
        let id = self.clients[who].ask(method, params.clone()).await;
        if self.dice.below(3) > 0 {
            return self.clients[who].answer(id).await;
        }
        tokio::time::sleep(Duration::from_millis(self.dice.below(8))).await;
        self.world.server.kill9();
        self.kills += 1;
        let first = self.clients[who].answer_if_any(id).await;
        self.world.server.restart().await;
        for (at, client) in self.clients.iter_mut().enumerate() {
            // Agents may name what they do not see any more.
            assert!(client.resume().await["resumed"] == true || at > 0, "{}", client.opened);
        }
        let again = self.clients[who].call(method, params).await;
        if let Some(first) = first {
            assert_eq!(first, again, "{method}: what was said before the end is said after it");
        }
        again
    }

    async fn deed(&mut self, who: usize, method: &str, params: Value) -> Value {
        self.attempt(who, method, params.clone()).await.unwrap_or_else(|refused| panic!("{method} {params}: {refused:?}"))
    }

    /// A queue may take a moment to know of everybody who waits: at most 5 s (G9).
    async fn pick(&mut self, who: usize, queue: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.attempt(who, "queue.pick", json!({ "queue": queue })).await {
                Ok(picked) => return picked,
                Err(refused) => assert_eq!(refused.reason(), "queue_empty"),
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "lost from its queue");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn what_takes_several_steps_is_taken_once_whenever_it_is_killed() {
    let world = World::with(&PLENTY).await;
    let clients = vec![world.customer("Vera").await, world.agent(&world.acme.anna).await, world.agent(&world.acme.ben).await];
    let (vera, anna, ben) = (0, 1, 2);
    let (support, sales, to_ben) = (world.acme.support.clone(), world.acme.sales.clone(), world.acme.ben.id.clone());
    let mut all = Unlucky { world, dice: Dice::new(), clients, deeds: 0, kills: 0 };
    let mut conversations = Vec::new();
    for _ in 0..4 {
        let started = all.deed(vera, "conversation.start", json!({ "queue": support, "message": "Hello?" })).await;
        let conversation = id_of(&started["conversation"]);
        let picked = all.pick(anna, &support).await;
        assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(conversation), &json!(1)));
        let said = json!({ "conversation": conversation, "text": "Hello!", "claim": 1 });
        all.deed(anna, "message.send", said.clone()).await;
        all.deed(anna, "conversation.assign", json!({ "conversation": conversation, "agent": to_ben, "claim": 1 })).await;
        all.clients[anna].refused_as("claim_lost", "message.send", said).await;
        let there = json!({ "conversation": conversation, "queue": sales, "note": "Wants to buy", "claim": 2 });
        all.deed(ben, "conversation.transfer", there).await;
        let picked = all.pick(ben, &sales).await;
        assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(conversation), &json!(3)));
        all.deed(ben, "conversation.close", json!({ "conversation": conversation, "claim": 3 })).await;
        all.deed(vera, "conversation.rate", json!({ "conversation": conversation, "rating": 4 })).await;
        conversations.push(conversation);
    }
    assert!(all.kills > 0);
    for conversation in &conversations {
        let ben = &mut all.clients[ben];
        let history = ben.ok("conversation.history", json!({ "conversation": conversation })).await;
        let types: Vec<_> =
            history["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
        let once = "started queued message claimed message assigned note transferred claimed closed rated";
        assert_eq!(types.join(" "), once);
    }
    for queue in all.clients[ben].ok("queue.list", json!({})).await["queues"].as_array().expect("queues") {
        assert_eq!((&queue["waiting"], &queue["active"]), (&json!(0), &json!(0)), "{queue}");
    }
}

#[tokio::test]
async fn who_waits_who_holds_and_what_was_set_come_back() {
    let mut world = World::start().await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let mut others = Vec::new();
    let (held, claim) = world.conversation(&mut vera, &mut anna).await;
    for name in ["One", "Two", "Three"] {
        let mut customer = world.customer(name).await;
        let conversation = world.start_conversation(&mut customer, name).await;
        others.push((customer, conversation));
    }
    anna.ok("priority.set", json!({ "conversation": others[2].1, "priority": 1 })).await;
    anna.ok("tag.add", json!({ "conversation": held, "tag": "bug" })).await;
    anna.ok("canned.set", json!({ "keyword": "hi", "text": "Hello" })).await;
    let (ended, _) = world.conversation(&mut vera, &mut anna).await;
    anna.ok("conversation.close", json!({ "conversation": ended })).await;
    anna.ok("customer.block", json!({ "conversation": others[0].1 })).await;
    let mut ben = world.agent(&world.acme.ben).await;
    ben.ok("queue.close", json!({ "queue": world.acme.sales })).await;
    ben.ok("presence.set", json!({ "status": "away" })).await;
    let before = anna.ok("conversation.get", json!({ "conversation": held })).await;
    let (log, me) = (vera.opened["log"].clone(), vera.opened["me"].clone());

    world.server.kill9();
    world.server.restart().await;
    assert_eq!(anna.resume().await["resumed"], true);
    let after = anna.ok("conversation.get", json!({ "conversation": held })).await;
    for member in ["state", "holder", "claim", "release_at", "tags", "head", "marks", "waiting_since", "metadata"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(anna.opened["log"], log);
    assert_eq!(anna.opened["me"]["canned"], json!([{ "keyword": "hi", "text": "Hello", "scope": "personal" }]));
    let queue = &anna.opened["queues"][0];
    assert_eq!((&queue["waiting"], &queue["active"]), (&json!(3), &json!(1)));
    let colleagues = anna.ok("agent.list", json!({})).await["agents"].clone();
    let ben = colleagues.as_array().expect("agents").iter().find(|it| it["id"] == world.acme.ben.id.as_str()).expect("Ben");
    assert_eq!((&ben["status"], &ben["connected"]), (&json!("away"), &json!(false)));
    for expected in [&others[2].1, &others[0].1, &others[1].1] {
        let picked = anna.ok("queue.pick", json!({ "queue": world.acme.support })).await;
        assert_eq!(picked["conversation"], *expected, "in the order of before");
    }
    let opened = vera.resume().await;
    assert_eq!((&opened["me"], &opened["ended"]), (&me, &json!([ended])));
    anna.ok("message.send", json!({ "conversation": held, "text": "Sorry for that", "claim": claim })).await;
    vera.told_where("conversation.event", |event| event["body"]["text"] == "Sorry for that").await;
    let (blocked, conversation) = &mut others[0];
    blocked.resume().await;
    blocked.refused_as("blocked", "message.send", json!({ "conversation": conversation, "text": "Hm" })).await;
    vera.refused_as("queue_closed", "conversation.start", json!({ "queue": world.acme.sales })).await;
    let found = anna.ok("conversation.list", json!({ "view": "closed" })).await["conversations"][0]["id"].clone();
    assert_eq!(id_of(&found), ended);
}

#[tokio::test]
async fn deadlines_that_fell_due_meanwhile_fire_once_and_others_stay() {
    let mut world = World::start().await;
    let settings = json!({ "release_after_ms": 1_000, "close_after_ms": 60_000, "warn_before_ms": 0 });
    world.set_queue(&world.acme.support, settings).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let conversation = world.start_conversation(&mut vera, "Hello?").await;
    let claimed = anna.ok("conversation.claim", json!({ "conversation": conversation })).await;
    let release_at = claimed["release_at"].as_u64().expect("a time");
    world.server.kill9();
    let over = release_at.saturating_sub(now_ms()) + 200;
    tokio::time::sleep(Duration::from_millis(over)).await;
    for _ in 0..2 {
        world.server.restart().await;
        assert_eq!(vera.resume().await["resumed"], true);
        vera.listen(Duration::from_millis(200)).await;
        vera.catch_up(&conversation).await;
        assert_eq!(vera.view(&conversation).types(), ["started", "queued", "message", "claimed", "released"]);
        let released = &vera.view(&conversation).events[&5];
        assert!(released["at"].as_u64() >= Some(release_at), "not early: {released}");
        world.server.kill9();
    }
    world.server.restart().await;
    anna.resume().await;
    anna.ok("conversation.claim", json!({ "conversation": conversation })).await;
    let before = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    world.server.kill9();
    world.server.restart().await;
    anna.resume().await;
    let after = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    assert_eq!((&after["release_at"], &after["close_at"]), (&before["release_at"], &before["close_at"]));
    anna.event(&conversation, "released").await;
}
