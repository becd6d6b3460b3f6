//! Agents race for the same conversations through different gateways while engines are killed: never two holders (G6), and
//! whoever was told yes has it.

use std::collections::BTreeMap;

use jono_test_redis::RedisServer;
use jono_tests::client::Client;
use jono_tests::system::System;
use jono_tests::world::id_of;
use serde_json::{Value, json};

use crate::{run, seconds};

const CONVERSATIONS: usize = 12;
const ROUNDS: usize = 6;

/// What an agent was told: conversation and claim.
type Won = Vec<(String, u64)>;

async fn race(agent: &mut Client, name: &str, conversations: &[String]) -> Won {
    let mut won = Won::new();
    for round in 0..ROUNDS {
        for conversation in conversations {
            let key = format!("{name} {round} {conversation}");
            let claimed = agent.call("conversation.claim", json!({ "conversation": conversation, "key": key })).await;
            let Ok(claimed) = claimed else { continue };
            let claim = claimed["claim"].as_u64().expect("a number");
            won.push((conversation.clone(), claim));
            let release = json!({ "conversation": conversation, "claim": claim, "key": format!("release {key}") });
            // Whoever was released by a timer meanwhile has lost it: that is none of this test's.
            let _ = agent.call("conversation.release", release).await;
        }
    }
    won
}

/// The claims in a log: who held it under which number. There is never a second one before the first has ended.
fn claims_of(log: &[Value]) -> BTreeMap<u64, String> {
    let mut holder: Option<u64> = None;
    let mut claims = BTreeMap::new();
    for event in log {
        match event["type"].as_str() {
            Some("claimed") => {
                assert_eq!(holder, None, "two holders: {log:#?}");
                let claim = event["body"]["claim"].as_u64().expect("a number");
                holder = Some(claim);
                assert!(claims.insert(claim, event["by"]["id"].to_string()).is_none(), "a number twice: {log:#?}");
            }
            Some("released" | "closed" | "transferred") => holder = None,
            _ => {}
        }
    }
    claims
}

#[test]
fn there_are_never_two_holders() {
    run(async {
        let redis = RedisServer::start(&["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"]);
        let mut system = System::start(&redis.url(), "disk", 3, 2).await;
        let mut customers = Vec::new();
        let mut conversations = Vec::new();
        for number in 0..CONVERSATIONS {
            let mut customer = system.customer(number % 2).await;
            let start = json!({ "queue": "q_demosupportaaaaaaaaaaaaaaa", "message": "Hello?", "key": "start" });
            conversations.push(id_of(&customer.ok("conversation.start", start).await["conversation"]));
            customers.push(customer);
        }
        let (mut anna, mut ben) = (system.agent(0, "anna").await, system.agent(1, "ben").await);
        let kill = async {
            for engine in 0..2 {
                seconds(1).await;
                system.engines[engine].kill9();
                seconds(5).await;
                system.engines[engine].restart().await;
            }
        };
        let (annas, bens, ()) =
            tokio::join!(race(&mut anna, "anna", &conversations), race(&mut ben, "ben", &conversations), kill);
        assert!(!annas.is_empty() && !bens.is_empty(), "both won something");
        for conversation in &conversations {
            let history = json!({ "conversation": conversation, "limit": 500 });
            let log = anna.ok("conversation.history", history).await["events"].as_array().expect("events").clone();
            let claims = claims_of(&log);
            for (won, is_annas) in annas.iter().map(|won| (won, true)).chain(bens.iter().map(|won| (won, false))) {
                if won.0 == *conversation {
                    let holder = claims.get(&won.1).unwrap_or_else(|| panic!("claim {} is not in the log: {log:#?}", won.1));
                    assert_eq!(holder.contains("anna"), is_annas, "claim {} of {conversation}", won.1);
                }
            }
        }
        eprintln!("won: anna {}, ben {}", annas.len(), bens.len());
    });
}
