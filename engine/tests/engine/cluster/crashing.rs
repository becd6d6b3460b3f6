//! Processes are killed: their shards, their sessions, what was under way.

use jono_domain::account::Role;
use jono_domain::agent;
use jono_domain::conversation::{Body, CloseCause, Command, Entry, ReleaseCause};
use jono_domain::id::{AgentId, ConversationId};
use jono_domain::message::{Address, Order};
use jono_domain::organisation::{self, Change};
use jono_domain::reply::Reply;
use jono_engine::cluster::limits::{BEAT_EVERY_MS, CALM_AFTER_MS, DEAD_AFTER_MS};

use super::kit::{Cluster, Part, STEP_MS, account};
use super::wire::{Call, Fault};
use crate::kit::*;

/// From the kill to the last shard being served: silence is counted from a beat to a look, and looks are a beat apart. The
/// steps are for looks that come late, since time goes in steps here.
const TAKEN_OVER_MS: u64 = DEAD_AFTER_MS + 2 * BEAT_EVERY_MS + 12 * STEP_MS;

async fn until_taken_over(cluster: &mut Cluster, survivors: &[usize]) {
    let killed_at = cluster.now_ms;
    loop {
        let mut owned = 0;
        for survivor in survivors {
            owned += cluster.owned(*survivor).await.len();
        }
        if owned == 16 {
            break;
        }
        assert!(cluster.now_ms - killed_at <= TAKEN_OVER_MS, "{owned} of 16 are served");
        cluster.step().await;
    }
    cluster.until_served().await;
}

fn count(log: &[Entry], is_it: impl Fn(&Body) -> bool) -> usize {
    log.iter().filter(|entry| is_it(&entry.body)).count()
}

fn at(log: &[Entry], is_it: impl Fn(&Body) -> bool) -> u64 {
    let found = log.iter().find(|entry| is_it(&entry.body)).expect("it has happened");
    found.at.since_ms(BEGINNING)
}

fn is_released(body: &Body) -> bool {
    matches!(body, Body::Released { cause: ReleaseCause::Inactive, .. })
}

fn is_closed(body: &Body) -> bool {
    matches!(body, Body::Closed { cause: CloseCause::Inactive, .. })
}

#[test]
fn others_serve_what_a_killed_engine_served() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Engine, Part::Gateway]).await;
        let bob = cluster.agent(3, BOB).await;
        let mut customers = Vec::new();
        for number in 0..12 {
            let customer = cluster.customer(3, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
            customers.push(customer);
        }
        for number in 0..4 {
            cluster.yes(bob, claim(talk(number))).await;
        }
        cluster.until("the agent to be led", |cluster| (0..4).all(|number| cluster.clients[bob].tracks(talk(number)))).await;
        // Under way when it is killed.
        let tickets: Vec<u64> = (0..12)
            .map(|number| cluster.clients[customers[number]].say(&cluster.processes, message(talk(number as u128), "under way")))
            .collect();
        cluster.crash(0);
        until_taken_over(&mut cluster, &[1, 2]).await;
        for (number, ticket) in tickets.into_iter().enumerate() {
            cluster.answer(customers[number], ticket).await.expect("stored");
            assert_eq!(cluster.clients[customers[number]].repeated, 0);
        }
        cluster.pass(500).await;
        for number in 0..12 {
            assert_eq!(texts(&cluster.log(talk(number)).await), ["hello", "under way"]);
        }
        assert_eq!(cluster.rows(SALES).await.len(), 12);
        let held: Vec<ConversationId> = (0..4).map(talk).collect();
        let mut found = cluster.held(BOB).await;
        found.sort();
        assert_eq!(found, held);
        for number in 0..4 {
            cluster.yes(bob, message(talk(number), "still mine")).await;
        }
        cluster.pass(500).await;
        for number in 0..4 {
            cluster.all_have_seen(talk(number), &[bob, customers[number as usize]]).await;
        }
        for number in 4..12 {
            cluster.yes(bob, pick(SALES)).await;
            let _ = number;
        }
        assert_eq!(cluster.held(BOB).await.len(), 12);
    });
}

#[test]
fn a_block_stands_whoever_serves_the_conversation() {
    block_and_kill(500);
}

#[test]
fn a_block_reaches_conversations_whose_owner_is_killed_at_once() {
    block_and_kill(0);
}

fn block_and_kill(after_ms: u64) {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
        let bob = cluster.agent(2, BOB).await;
        for number in 0..8 {
            let customer = cluster.customer(2, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
            cluster.yes(bob, claim(talk(number))).await;
        }
        // When it is calm again, customers say that they are not blocked; a moment later they are.
        cluster.join(Part::Engine).await;
        cluster.pass(2 * CALM_AFTER_MS).await;
        for number in 0..8 {
            cluster.yes(bob, to(talk(number), Command::BlockCustomer { duration_ms: None })).await;
        }
        if after_ms > 0 {
            cluster.pass(after_ms).await;
        }
        cluster.crash(0);
        until_taken_over(&mut cluster, &[1, 3]).await;
        cluster.pass(2 * CALM_AFTER_MS).await;
        for number in 0..8 {
            let log = cluster.log(talk(number)).await;
            let blocks = log.iter().filter(|entry| matches!(entry.body, Body::Blocked { .. } | Body::Unblocked));
            let blocks: Vec<&Body> = blocks.map(|entry| &entry.body).collect();
            assert_eq!(blocks, [&Body::Blocked { until: None }], "{number}");
        }
    });
}

#[test]
fn an_engine_is_killed_again_and_again_and_the_last_one_has_all() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Engine, Part::Gateway]).await;
        let ann = cluster.customer(3, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
        cluster.crash(1);
        until_taken_over(&mut cluster, &[0, 2]).await;
        cluster.yes(ann, message(TALK, "1")).await;
        cluster.crash(0);
        until_taken_over(&mut cluster, &[2]).await;
        cluster.yes(ann, message(TALK, "2")).await;
        assert_eq!(texts(&cluster.log(TALK).await), ["0", "1", "2"]);
        cluster.all_have_seen(TALK, &[ann]).await;
    });
}

#[test]
fn timers_fire_once_and_never_early_though_their_owner_was_killed() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
        let bob = cluster.agent(2, BOB).await;
        let mut begun = Vec::new();
        for number in 0..6 {
            let customer = cluster.customer(2, visitor(number)).await;
            cluster.yes(customer, start(visitor(number), talk(number), SALES, "hello")).await;
        }
        for number in 0..6 {
            cluster.yes(bob, claim(talk(number))).await;
            begun.push(cluster.log(talk(number)).await.last().unwrap().at.since_ms(BEGINNING));
        }
        // Just before the first is due.
        cluster.pass(5 * MINUTE - 1_000 - (cluster.now_ms - begun[0])).await;
        cluster.crash(0);
        cluster.pass(8_000).await;
        for number in 0..6 {
            let log = cluster.log(talk(number)).await;
            assert_eq!(count(&log, is_released), 1);
            let late = at(&log, is_released) - (begun[number as usize] + 5 * MINUTE);
            assert!(late <= 6_000, "{late} ms late");
        }
        assert_eq!(cluster.rows(SALES).await.iter().filter(|row| row.holder.is_none()).count(), 6, "they wait again");
        cluster.pass(10 * MINUTE).await;
        for number in 0..6 {
            let log = cluster.log(talk(number)).await;
            assert_eq!((count(&log, is_released), count(&log, is_closed)), (1, 0), "their customers are there");
        }
    });
}

#[test]
fn a_killed_gateways_sessions_are_forgotten_everywhere() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway, Part::Gateway]).await;
        let ann = cluster.customer(2, ANN).await;
        cluster.agent(2, BOB).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "hello")).await;
        cluster.until("the customer to be led", |cluster| cluster.clients[ann].tracks(TALK)).await;
        cluster.pass(500).await;
        assert!(cluster.conversation(TALK).await.row.connected);
        cluster.crash(2);
        cluster.pass(TAKEN_OVER_MS).await;
        let oda = cluster.agent(3, ODA).await;
        cluster.clients[oda].follow(Address::Organisation(ORGANISATION));
        cluster.until("presence", |cluster| cluster.clients[oda].states.contains_key(&Address::Organisation(ORGANISATION))).await;
        let Reply::Presence(presence) = &cluster.clients[oda].states[&Address::Organisation(ORGANISATION)] else { panic!() };
        let bob = presence.iter().find(|(agent, _)| *agent == BOB).expect("known");
        assert!(!bob.1.connected);
        assert!(!cluster.conversation(TALK).await.row.connected);
        // Without their customer the conversation ends, once.
        cluster.pass(16 * MINUTE).await;
        assert_eq!(count(&cluster.log(TALK).await, is_closed), 1);
    });
}

#[test]
fn what_a_killed_gateway_sent_last_makes_nobody_connected_again() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Gateway, Part::Gateway]).await;
        let ann = cluster.customer(1, ANN).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "hello")).await;
        cluster.until("the customer to be led", |cluster| cluster.clients[ann].tracks(TALK)).await;
        let engine = cluster.node(0).await;
        cluster.exchange.faults().hold_parcels(engine);
        // Another tab is opened, and the gateway is killed; the engine reads of it when it has forgotten that gateway.
        let tab = cluster.another(1, customer_of(ANN), Address::Customer(ANN));
        cluster.clients[tab].follow(Address::Conversation(TALK));
        cluster.pass(200).await;
        cluster.crash(1);
        cluster.pass(TAKEN_OVER_MS).await;
        cluster.exchange.faults().release_parcels(engine);
        cluster.pass(1_000).await;
        assert!(!cluster.conversation(TALK).await.row.connected);
    });
}

#[test]
fn what_a_killed_engine_said_last_is_not_believed_when_it_comes_long_after() {
    run(async {
        // The organisation is at one of them, and some of its agents at the other.
        for doomed in [0, 1] {
            let survivor = 1 - doomed;
            let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway]).await;
            let mut agents = Vec::new();
            for agent in (100..108).map(AgentId::from_bits) {
                let account = Some(Box::new(account(agent, Role::Agent, &[SALES])));
                cluster.change(2, Change::PutAgent { agent, account }).await;
                agents.push((agent, cluster.agent(2, agent).await));
            }
            cluster.pass(500).await;
            let node = cluster.node(survivor).await;
            cluster.exchange.faults().hold_parcels(node);
            for (agent, client) in &agents {
                let away = agent::Command::SetStatus { status: agent::Status::Away };
                cluster.clients[*client].say(&cluster.processes, Order::Agent(*agent, Box::new(away)));
            }
            cluster.pass(200).await;
            cluster.crash_engine(doomed);
            for (_, client) in agents {
                cluster.clients[client].disconnect(&cluster.processes[2]);
            }
            cluster.pass(TAKEN_OVER_MS + 2 * CALM_AFTER_MS).await;
            cluster.exchange.faults().release_parcels(node);
            cluster.pass(1_000).await;
            let list = Order::Organisation(ORGANISATION, Box::new(organisation::Command::ListPresence));
            let Reply::Presence(presence) = cluster.done(survivor, agent_of(ODA), list).await else { panic!() };
            assert!(presence.iter().all(|(_, presence)| !presence.connected), "{presence:?}");
        }
    });
}

#[test]
fn a_dead_process_that_could_not_be_removed_stays_dead() {
    run(async {
        for nth in [1, 2] {
            let fault = Fault { call: Call::Remove, nth, applied: false };
            let mut cluster = Cluster::begin_with(Some(fault), &[Part::Both, Part::Engine]).await;
            let ann = cluster.customer(0, ANN).await;
            cluster.yes(ann, start(ANN, TALK, SALES, "0")).await;
            let killed = cluster.node(1).await;
            cluster.crash_engine(1);
            until_taken_over(&mut cluster, &[0]).await;
            // It owns nothing again, for however short a time.
            for _ in 0..200 {
                cluster.step().await;
                assert!(cluster.processes[0].engine.is_serving() && cluster.owned(0).await.len() == 16);
            }
            assert!(cluster.picture().await.members.iter().all(|member| member.node != killed), "it is removed in the end");
            cluster.yes(ann, message(TALK, "1")).await;
        }
    });
}
