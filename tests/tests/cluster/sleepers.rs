//! Engines that sleep and do not know it, while somebody writes without a pause.

use std::collections::{BTreeMap, VecDeque};

use jono_test_redis::RedisServer;
use jono_tests::client::Client;
use jono_tests::system::{Corpus, System};
use jono_tests::world::id_of;
use serde_json::json;
use tokio::sync::watch;

use crate::{run, seconds};

/// Messages that are on their way at a time: each commit finds others waiting behind it.
const AT_ONCE: usize = 20;

/// Writes until told to end, without waiting for answers; then all of them have come, and the log has each message once.
async fn write_without_pause(mut customer: Client, mut end: watch::Receiver<bool>) -> usize {
    let queue = "q_demosupportaaaaaaaaaaaaaaa";
    let started = customer.ok("conversation.start", json!({ "queue": queue, "message": "hot" })).await;
    let conversation = id_of(&started["conversation"]);
    let mut asked = BTreeMap::new();
    let mut unanswered = VecDeque::new();
    while !*end.borrow_and_update() || !unanswered.is_empty() {
        while unanswered.len() < AT_ONCE && !*end.borrow() {
            let text = format!("hot {}", asked.len());
            let params = json!({ "conversation": conversation, "text": text, "key": text });
            let id = customer.ask("message.send", params).await;
            asked.insert(id, text);
            unanswered.push_back(id);
        }
        if let Some(id) = unanswered.pop_front() {
            let answer = customer.answer(id).await;
            assert!(answer.is_ok(), "{:?}: {answer:?}", asked.get(&id));
        }
    }
    customer.catch_up(&conversation).await;
    let texts = customer.view(&conversation).texts();
    let written: Vec<&str> = asked.values().map(String::as_str).collect();
    assert_eq!(texts[1..], written, "each once, in the order in which they were written");
    written.len()
}

#[test]
fn an_engine_that_slept_writes_nothing_more() {
    run(async {
        let redis = RedisServer::start(&["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"]);
        let system = System::start(&redis.url(), "disk", 3, 2).await;
        let corpus = Corpus::lasting(30);
        let play = system.play(&corpus);
        let (end, ended) = watch::channel(false);
        let writers = [system.customer(0).await, system.customer(1).await, system.customer(0).await];
        let write = futures_util::future::join_all(writers.map(|customer| write_without_pause(customer, ended.clone())));
        let sleep = async {
            for engine in &system.engines {
                seconds(1).await;
                engine.freeze();
                seconds(7).await;
                engine.thaw();
                seconds(1).await;
            }
            system.engines[0].freeze();
            seconds(10).await;
            system.engines[0].thaw();
            end.send_replace(true);
        };
        let (written, ()) = tokio::join!(write, sleep);
        play.passed().await;
        system.all_ready().await;
        for engine in &system.engines {
            assert!(engine.printed().contains("is no member any more"), "it found out when it woke up");
        }
        // An engine that wakes up stops by its own clock before it writes anything: what the store would refuse is hardly ever
        // tried. The engine's own tests have sleepers whose clocks stand still, which do try.
        let fenced = system.engines_metric("jono_engine_commits_fenced_total").await;
        eprintln!("written without a pause: {written:?}; fenced commits: {fenced}");
    });
}
