//! What must be so after the story, whatever died in it: nothing acknowledged is lost, nothing is there twice, the order is
//! right, everybody was told the same, and lists and queues agree.

use std::time::{Duration, Instant};

use jono_tests::view::assert_same;
use jono_tests::world::id_of;
use serde_json::{Value, json};

use crate::story::{ANNA, BEN, BOB, RELEASE_AFTER_MS, Story, VERA};

/// Copies may be stale for so long (G9).
const STALE_MAX: Duration = Duration::from_secs(5);

impl Story {
    pub(crate) async fn judge(&mut self) {
        for who in [VERA, BOB, ANNA, BEN] {
            self.people[who].cut();
            self.come_back(who).await;
        }
        self.judge_repeats().await;
        self.judge_messages().await;
        self.judge_logs().await;
        self.judge_lists().await;
        let again = json!({ "queue": self.stage.world.acme.support });
        let refused = self.ask(BOB, "conversation.start", again).await.expect_err("he is blocked");
        assert_eq!(refused.reason(), "blocked");
    }

    /// G2: everything that was done is asked for once more, and answered as it was at first.
    async fn judge_repeats(&mut self) {
        for deed in std::mem::take(&mut self.deeds) {
            let again = self.ask(deed.who, deed.method, deed.params.clone()).await;
            // What was refused changed nothing, and is decided anew.
            assert!(
                again == deed.answer || deed.answer.is_err(),
                "{} {}: {:?}, then {again:?}",
                deed.method,
                deed.params,
                deed.answer
            );
        }
    }

    /// G1, G3: every message is in the log once, under its number.
    async fn judge_messages(&mut self) {
        let main = self.main.clone();
        for who in [VERA, BEN] {
            self.catch_up(who, &main).await;
        }
        let view = self.people[VERA].view(&main);
        assert_eq!(view.gaps, []);
        for said in &self.said {
            assert_eq!(view.events[&said.seq]["body"]["text"], said.text.as_str(), "under its number");
        }
        let mut expected: Vec<&str> = self.said.iter().map(|said| said.text.as_str()).chain(["Hello?"]).collect();
        let mut texts = view.texts();
        expected.sort_unstable();
        texts.sort_unstable();
        assert_eq!(texts, expected, "each once");
        if !self.was_unavailable {
            for who in [VERA, ANNA] {
                let numbers: Vec<u64> = self.said.iter().filter(|said| said.who == who).map(|said| said.seq).collect();
                assert!(numbers.is_sorted(), "in the order of writing: {numbers:?}");
            }
        }
        // An agent who came to it later begins with what is told last.
        let mut ben = self.people[BEN].view(&main).clone();
        let first = ben.events.keys().next().copied().unwrap_or_default();
        let mut vera = view.clone();
        vera.events.retain(|seq, _| *seq >= first);
        ben.events.retain(|seq, _| vera.events.contains_key(seq));
        assert_same(&vera, &ben);
    }

    /// G6, G7: each step is in the log once.
    async fn judge_logs(&mut self) {
        let messages = "message ".repeat(10);
        let main = format!(
            "started queued message claimed {messages}tagged note assigned note transferred claimed message closed rated"
        );
        assert_eq!(types(&self.log(&self.main.clone()).await), main);
        let blocked = self.log(&self.blocked.clone()).await;
        // That its customer is blocked may come to it too late: it has closed. Blocked they are all the same.
        assert_eq!(types(&blocked).replace("blocked ", ""), "started queued message claimed closed");
        assert!(types(&blocked).matches("blocked").count() <= 1, "{}", types(&blocked));
        for conversation in self.released.clone() {
            let log = self.log(&conversation).await;
            assert_eq!(types(&log), "started queued message claimed released closed");
            let [claimed, released] = [3, 4].map(|at: usize| log[at]["at"].as_u64().expect("a time"));
            assert!(released >= claimed + RELEASE_AFTER_MS, "not early: {log:?}");
        }
        for conversation in self.left.clone() {
            assert_eq!(types(&self.log(&conversation).await), "started queued message closed");
        }
    }

    async fn log(&mut self, conversation: &str) -> Vec<Value> {
        let history = self.ask(BEN, "conversation.history", json!({ "conversation": conversation })).await.expect("its log");
        history["events"].as_array().expect("events").clone()
    }

    /// G9: nobody waits or is served any more, and everybody is in the list of those who did.
    async fn judge_lists(&mut self) {
        let begun = Instant::now();
        loop {
            let queues = self.ask(BEN, "queue.list", json!({})).await.expect("queues");
            let open = self.rows("open").await;
            let closed = self.rows("closed").await;
            let is_empty = |queue: &Value| queue["waiting"] == 0 && queue["active"] == 0;
            let all: Vec<&String> = self.released.iter().chain(&self.left).chain([&self.main, &self.blocked]).collect();
            if queues["queues"].as_array().expect("queues").iter().all(is_empty)
                && open.is_empty()
                && closed.len() == all.len()
                && all.iter().all(|one| closed.contains(one))
            {
                return;
            }
            assert!(begun.elapsed() < STALE_MAX, "{queues}, open: {open:?}, closed: {closed:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn rows(&mut self, view: &str) -> Vec<String> {
        let page = self.ask(BEN, "conversation.list", json!({ "view": view })).await.expect("a list");
        page["conversations"].as_array().expect("rows").iter().map(|row| id_of(&row["id"])).collect()
    }
}

fn types(log: &[Value]) -> String {
    log.iter().map(|event| id_of(&event["type"])).collect::<Vec<_>>().join(" ")
}
