//! What is played: two customers, two agents, and everything that takes several steps. Whoever is not answered goes on where
//! they were, and asks again under the same key.

use std::time::{Duration, Instant};

use jono_tests::PATIENCE;
use jono_tests::client::{Client, Refused};
use jono_tests::world::id_of;
use serde_json::{Value, json};

use crate::stage::Stage;

pub(crate) const VERA: usize = 0;
pub(crate) const BOB: usize = 1;
pub(crate) const ANNA: usize = 2;
pub(crate) const BEN: usize = 3;

/// Messages that each side writes without waiting for answers.
const BURST: u64 = 5;

/// After so long without a word an agent loses the claim.
pub(crate) const RELEASE_AFTER_MS: u64 = 1_000;

/// The other engine is restarted so often at most until the doomed one has died of it.
const MOVES_MAX: usize = 10;
/// So many conversations are begun before each time: about half of them are the doomed one's.
const MINDS: usize = 4;

/// Ended conversations that a customer may still reach: more cannot be resumed.
const REACHABLE: usize = 8;

/// What happens between two scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interlude {
    Nothing,
    /// Shards go from the other engine and come back, until the doomed process has died of it.
    ShardsMove,
    /// The other engine is killed: requests to it wait.
    OtherKilled,
}

/// Something that was asked under a key, and its answer.
pub(crate) struct Deed {
    pub(crate) who: usize,
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    pub(crate) answer: Result<Value, Refused>,
}

/// A message, and the number that it was acknowledged under.
pub(crate) struct Said {
    pub(crate) who: usize,
    pub(crate) text: String,
    pub(crate) seq: u64,
}

pub(crate) struct Story {
    pub(crate) stage: Stage,
    pub(crate) people: Vec<Client>,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) said: Vec<Said>,
    /// The store was away for a moment, and was said to be: what was written at once may have been stored in another order.
    pub(crate) was_unavailable: bool,
    keys: u64,
    /// Handed from agent to agent and from queue to queue.
    pub(crate) main: String,
    /// Of the customer who is blocked.
    pub(crate) blocked: String,
    /// Released by time.
    pub(crate) released: Vec<String>,
    /// Ended by their customer while they waited.
    pub(crate) left: Vec<String>,
}

impl Story {
    /// Before anything can go wrong: everybody is there, and one customer waits.
    pub(crate) async fn begin(stage: Stage) -> Self {
        let world = &stage.world;
        let (vera, bob) = (world.customer("Vera").await, world.customer("Bob").await);
        let people = vec![vera, bob, world.agent(&world.acme.anna).await, world.agent(&world.acme.ben).await];
        let (deeds, said) = (Vec::new(), Vec::new());
        let (main, blocked) = (String::new(), String::new());
        let (released, left) = (Vec::new(), Vec::new());
        let mut story = Self { stage, people, deeds, said, was_unavailable: false, keys: 0, main, blocked, released, left };
        story.blocked = story.start(BOB, &story.sales(), "Is anybody there?").await;
        story
    }

    fn support(&self) -> String {
        self.stage.world.acme.support.clone()
    }

    fn sales(&self) -> String {
        self.stage.world.acme.sales.clone()
    }

    pub(crate) async fn play(&mut self, interlude: Interlude, encores: usize) {
        self.talk().await;
        self.hand_over().await;
        match interlude {
            Interlude::Nothing => {}
            Interlude::ShardsMove => {
                for _ in 0..MOVES_MAX {
                    self.change_minds().await;
                    self.stage.move_shards().await;
                    self.stage.mend().await;
                    if self.stage.is_dead() {
                        break;
                    }
                }
            }
            Interlude::OtherKilled => self.stage.kill_other().await,
        }
        self.block().await;
        self.finish().await;
        self.release().await;
        for _ in 0..encores {
            self.stage.mend().await;
            if self.stage.is_dead() {
                return;
            }
            self.release().await;
        }
    }

    /// Everybody goes home, and so does the doomed process.
    pub(crate) async fn end(&mut self) {
        self.people.iter_mut().for_each(Client::cut);
        self.stage.end().await;
    }

    // ---- the scenes

    async fn talk(&mut self) {
        self.main = self.start(VERA, &self.support(), "Hello?").await;
        let picked = self.pick(ANNA, &self.support()).await;
        assert_eq!((&picked["conversation"], &picked["claim"]), (&json!(self.main), &json!(1)));
        self.burst().await;
        let seq = self.said.iter().map(|said| said.seq).max();
        self.ask(ANNA, "receipt.read", json!({ "conversation": self.main, "seq": seq })).await.expect("it was read");
        self.deed(ANNA, "tag.add", json!({ "conversation": self.main, "tag": "bug" })).await;
        self.deed(ANNA, "note.add", json!({ "conversation": self.main, "text": "Knows a lot" })).await;
    }

    async fn hand_over(&mut self) {
        let (main, ben) = (self.main.clone(), self.stage.world.acme.ben.id.clone());
        self.deed(ANNA, "conversation.assign", json!({ "conversation": main, "agent": ben, "claim": 1 })).await;
        let there = json!({ "conversation": main, "queue": self.sales(), "note": "Wants to buy", "claim": 2 });
        self.deed(BEN, "conversation.transfer", there).await;
        let picked = self.pick(BEN, &self.sales()).await;
        // A queue that has just come back may not have heard of everybody who waits: it offers whom it knows.
        let is_main = picked["conversation"] == main.as_str();
        let other = if is_main { &self.blocked } else { &main };
        let claimed = self.deed(BEN, "conversation.claim", json!({ "conversation": other })).await;
        let (of_main, of_blocked) = if is_main { (&picked, &claimed) } else { (&claimed, &picked) };
        assert_eq!((&of_main["claim"], &of_blocked["claim"]), (&json!(3), &json!(1)));
        assert!(is_main || picked["conversation"] == self.blocked.as_str(), "{picked}");
    }

    async fn block(&mut self) {
        let conversation = json!({ "conversation": self.blocked });
        self.deed(BEN, "customer.block", conversation.clone()).await;
        self.deed(BEN, "conversation.close", conversation).await;
    }

    async fn finish(&mut self) {
        let (main, text) = (self.main.clone(), "Gladly".to_owned());
        let sent = self.deed(BEN, "message.send", json!({ "conversation": main, "text": text, "claim": 3 })).await;
        self.said.push(Said { who: BEN, text, seq: sent["seq"].as_u64().expect("a number") });
        self.deed(BEN, "conversation.close", json!({ "conversation": main, "claim": 3 })).await;
        self.deed(VERA, "conversation.rate", json!({ "conversation": main, "rating": 5 })).await;
    }

    /// An agent who says nothing loses the claim.
    async fn release(&mut self) {
        let path = format!("/v1/organisations/{}/queues/{}", self.stage.world.acme.id, self.sales());
        let settings = json!({ "name": "Sales", "settings": { "release_after_ms": RELEASE_AFTER_MS, "warn_before_ms": 0 } });
        self.stage.root("PUT", &path, &settings).await;
        let released = self.start(VERA, &self.sales(), "One more thing").await;
        self.deed(BEN, "conversation.claim", json!({ "conversation": released })).await;
        self.released.push(released.clone());
        let begun = Instant::now();
        loop {
            let shown = self.ask(VERA, "conversation.get", json!({ "conversation": released })).await.expect("it is there");
            if shown["state"] == "waiting" {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "it is not released: {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.deed(VERA, "conversation.leave", json!({ "conversation": released })).await;
    }

    /// Conversations that end before anybody has picked them: each tells its queue, once, that it waits no more.
    async fn change_minds(&mut self) {
        for _ in 0..MINDS {
            let started = self.start(VERA, &self.support(), "Never mind").await;
            self.deed(VERA, "conversation.leave", json!({ "conversation": started })).await;
            self.left.push(started);
        }
    }

    // ---- asking

    async fn start(&mut self, who: usize, queue: &str, message: &str) -> String {
        let started = self.deed(who, "conversation.start", json!({ "queue": queue, "message": message })).await;
        id_of(&started["conversation"])
    }

    /// A queue may take a moment to know of everybody who waits.
    async fn pick(&mut self, who: usize, queue: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.attempt(who, "queue.pick", json!({ "queue": queue })).await {
                Ok(picked) => return picked,
                Err(refused) => assert_eq!(refused.reason(), "queue_empty"),
            }
            assert!(begun.elapsed() < PATIENCE, "lost from its queue");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn deed(&mut self, who: usize, method: &'static str, params: Value) -> Value {
        self.attempt(who, method, params.clone()).await.unwrap_or_else(|refused| panic!("{method} {params}: {refused:?}"))
    }

    /// Asks under a new key.
    async fn attempt(&mut self, who: usize, method: &'static str, mut params: Value) -> Result<Value, Refused> {
        params["key"] = self.next_key();
        let answer = self.ask(who, method, params.clone()).await;
        self.deeds.push(Deed { who, method, params, answer: answer.clone() });
        answer
    }

    fn next_key(&mut self) -> Value {
        self.keys += 1;
        json!(format!("deed {}", self.keys))
    }

    /// Asks until there is an answer, whatever ends meanwhile.
    pub(crate) async fn ask(&mut self, who: usize, method: &str, params: Value) -> Result<Value, Refused> {
        let begun = Instant::now();
        loop {
            self.stage.mend().await;
            let id = self.people[who].ask(method, params.clone()).await;
            match self.people[who].answer_if_any(id).await {
                Some(Err(refused)) if is_for_later(&refused) => {
                    self.was_unavailable = true;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Some(answer) => return answer,
                None => self.come_back(who).await,
            }
            assert!(begun.elapsed() < 2 * PATIENCE, "{method} {params} is not answered");
        }
    }

    /// Goes on on a new connection. A customer misses nothing, and is told so.
    pub(crate) async fn come_back(&mut self, who: usize) {
        let begun = Instant::now();
        loop {
            self.stage.mend().await;
            match self.people[who].try_resume().await {
                Some(Ok(opened)) => {
                    // Agents may name what they do not see any more.
                    let may_miss = who >= ANNA || self.released.len() + self.left.len() + 1 > REACHABLE;
                    assert!(opened["resumed"] == true || may_miss, "{opened}");
                    return;
                }
                Some(Err(refused)) => assert!(is_for_later(&refused), "{refused:?}"),
                None => {}
            }
            assert!(begun.elapsed() < PATIENCE, "nobody takes the connection");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until they have been told everything that is in the log.
    pub(crate) async fn catch_up(&mut self, who: usize, conversation: &str) {
        let head = self.ask(who, "conversation.get", json!({ "conversation": conversation })).await.expect("it is there");
        let begun = Instant::now();
        while self.people[who].view(conversation).last < head["head"].as_u64().expect("a number") {
            assert!(begun.elapsed() < PATIENCE, "not everything is told");
            match self.people[who].is_connected() {
                true => self.people[who].listen(Duration::from_millis(10)).await,
                false => self.come_back(who).await,
            }
        }
    }

    /// Both sides write at once and without waiting; what is not answered is written again, in the same order.
    async fn burst(&mut self) {
        let mut unanswered = Vec::new();
        for number in 0..BURST {
            for (who, name) in [(VERA, "Vera"), (ANNA, "Anna")] {
                let text = format!("{name} {number}");
                let params = json!({ "conversation": self.main, "text": text, "key": self.next_key() });
                let id = self.people[who].ask("message.send", params.clone()).await;
                unanswered.push((who, text, params, id));
            }
        }
        // On a connection that has ended nothing is answered any more: all of it is asked again.
        let mut answers = Vec::new();
        for (who, _, _, id) in &unanswered {
            answers.push(self.people[*who].answer_if_any(*id).await);
        }
        for ((who, text, params, _), answer) in unanswered.into_iter().zip(answers) {
            let answer = match answer {
                Some(Ok(answer)) => answer,
                Some(Err(refused)) if !is_for_later(&refused) => panic!("{text}: {refused:?}"),
                again => {
                    self.was_unavailable |= again.is_some();
                    self.ask(who, "message.send", params.clone()).await.expect("it is taken")
                }
            };
            self.said.push(Said { who, text, seq: answer["seq"].as_u64().expect("a number") });
            self.deeds.push(Deed { who, method: "message.send", params, answer: Ok(answer) });
        }
    }
}

fn is_for_later(refused: &Refused) -> bool {
    ["unavailable", "busy", "rate_limited"].contains(&refused.reason())
}
