//! People talk through different processes as if there were one.

use jono_domain::conversation::{Body, Command};
use jono_domain::message::Address;
use jono_domain::notice::Notice;
use jono_domain::reply::Reply;
use jono_engine::request::{Outcome, Query, View};

use super::kit::{Cluster, Part};
use crate::kit::*;

#[test]
fn people_on_different_processes_talk_as_if_there_were_one() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Engine, Part::Engine, Part::Gateway, Part::Gateway]).await;
        let ann = cluster.customer(2, ANN).await;
        let bob = cluster.agent(3, BOB).await;
        let eve = cluster.agent(2, EVE).await;
        cluster.yes(ann, start(ANN, TALK, SALES, "hello")).await;
        cluster.until("the customer to be led to it", |cluster| cluster.clients[ann].tracks(TALK)).await;
        cluster.pass(500).await;
        let Reply::Claimed { conversation: TALK, claim: 1, .. } = cluster.yes(bob, pick(SALES)).await else { panic!() };
        cluster.until("the agent to be led to it", |cluster| cluster.clients[bob].tracks(TALK)).await;
        for round in 0..3 {
            cluster.yes(bob, message(TALK, &format!("b{round}"))).await;
            cluster.yes(ann, to(TALK, Command::Type { typing: true, preview: None })).await;
            cluster.yes(ann, message(TALK, &format!("a{round}"))).await;
            let seq = cluster.clients[bob].last(TALK);
            cluster.yes(bob, to(TALK, Command::Read { seq })).await;
        }
        cluster.yes(bob, to(TALK, Command::Assign { claim: None, to: EVE, accepted: false })).await;
        cluster.until("the other agent to be led to it", |cluster| cluster.clients[eve].tracks(TALK)).await;
        cluster.yes(eve, message(TALK, "e")).await;
        cluster.yes(eve, close(TALK)).await;
        cluster.pass(1_000).await;
        cluster.all_have_seen(TALK, &[ann, eve]).await;
        let typing = |notice: &Notice| matches!(notice, Notice::Typing { typing: true, .. });
        assert_eq!(cluster.clients[bob].notices.iter().filter(|it| typing(it)).count(), 3);
        let read = |notice: &Notice| matches!(notice, Notice::Receipt { .. });
        assert!(cluster.clients[ann].notices.iter().filter(|it| read(it)).count() >= 3);
        let log = cluster.log(TALK).await;
        assert_eq!(texts(&log), ["hello", "b0", "a0", "b1", "a1", "b2", "a2", "e"]);
        assert!(matches!(log.last().unwrap().body, Body::Closed { .. }));
        for process in 0..4 {
            let list = |view| Query::List { view, queue: None, cursor: None, limit: 10 };
            let Ok(Outcome::Rows { rows, .. }) = cluster.query(process, agent_of(ODA), list(View::Closed)).await else {
                panic!()
            };
            assert_eq!(rows.len(), 1);
            let Ok(Outcome::Rows { rows, .. }) = cluster.query(process, agent_of(ODA), list(View::Open)).await else { panic!() };
            assert_eq!(rows, []);
            let search = Query::Search { text: "b1".into(), queue: None, from: None, to: None, cursor: None, limit: 10 };
            let Ok(Outcome::Found { hits, .. }) = cluster.query(process, agent_of(ODA), search).await else { panic!() };
            assert_eq!(hits.len(), 1);
        }
    });
}

#[test]
fn presence_is_seen_by_sessions_of_other_processes() {
    run(async {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Both]).await;
        let oda = cluster.agent(0, ODA).await;
        cluster.clients[oda].follow(Address::Organisation(ORGANISATION));
        cluster.pass(100).await;
        cluster.agent(1, BOB).await;
        let is_bob = |notice: &Notice| matches!(notice, Notice::Presence { agent: BOB, presence } if presence.connected);
        cluster.until("presence to be told", |cluster| cluster.clients[oda].notices.iter().any(is_bob)).await;
    });
}
