//! What happens in a run: an organisation is set up, customers begin, agents pick, pass on and close, timers fire, the process is
//! started again, twice. And what must be so afterwards, whichever call has failed.

use std::collections::BTreeMap;

use jono_domain::account::{AccountKind, Author, Role, Who};
use jono_domain::conversation::{Body, CloseCause, Command, Entry, ReleaseCause, Row, RowState};
use jono_domain::id::{AgentId, ConversationId, QueueId};
use jono_domain::message::Order;
use jono_domain::organisation::{Account, Change, QueueConfig, QueueSettings};
use jono_domain::{agent, queue};
use jono_engine::request::{Outcome, Query, View};

use super::people::People;
use crate::cluster::one_holder_at_a_time;
use crate::kit::*;

/// The conversations, in the order in which they begin.
const TALKS: [ConversationId; 4] =
    [TALK, ConversationId::from_bits(42), ConversationId::from_bits(43), ConversationId::from_bits(44)];

/// A timer may be late by the time that its commit and its reading took again.
const LATE_MS: u64 = 6 * SECOND;

impl People {
    pub async fn play(&mut self) {
        self.set_up().await;
        self.first_day().await;
        self.look_around().await;
        self.restart().await;
        self.repeat_everything().await;
        self.timers().await;
        self.look_around().await;
        self.restart().await;
        self.repeat_everything().await;
        self.judge().await;
        // Answers are forgotten after a day, and nothing else is.
        self.pass(25 * 60 * MINUTE).await;
        self.forget_what_was_said();
        self.judge().await;
        self.is_served().await;
    }

    async fn set_up(&mut self) {
        let mut change = async |key: &str, changed| {
            self.say(Who::Root, key, change(ORGANISATION, changed)).await;
        };
        change("organisation", Change::Create { organisation: ORGANISATION, name: "Acme".into() }).await;
        for (queue, name) in [(SALES, "Sales"), (TECH, "Tech")] {
            let config = Some(QueueConfig { name: name.into(), settings: QueueSettings::default() });
            change(name, Change::PutQueue { queue, config }).await;
        }
        let agents = [(BOB, Some(SALES)), (EVE, Some(SALES)), (DAN, Some(TECH)), (ODA, None)];
        for (agent, queue) in agents {
            change(&format!("{agent}"), Change::PutAgent { agent, account: Some(Box::new(account(agent, queue))) }).await;
        }
    }

    async fn first_day(&mut self) {
        let (ann, cid, vic) = (customer_of(ANN), customer_of(CID), customer_of(visitor(1)));
        self.start(ann, start(ANN, TALKS[0], SALES, "a1"), "a1").await;
        self.watch(ann, TALKS[0]).await;
        self.watch(agent_of(ODA), TALKS[0]).await;
        self.write(ann, TALKS[0], "a2").await;
        self.start(cid, start(CID, TALKS[1], SALES, "c1"), "c1").await;
        self.start(vic, start(visitor(1), TALKS[2], TECH, "v1"), "v1").await;
        self.say(agent_of(BOB), "canned", set_canned()).await;
        self.say(agent_of(DAN), "closed", to_queue(TECH, queue::Command::SetOpen { open: false })).await;
        self.say(agent_of(DAN), "open", to_queue(TECH, queue::Command::SetOpen { open: true })).await;
        let mut picked = [self.pick(agent_of(BOB), "p1", SALES).await, self.pick(agent_of(BOB), "p2", SALES).await];
        picked.sort();
        assert_eq!(picked, TALKS[..2]);
        self.write(agent_of(BOB), TALKS[0], "b1").await;
        let (bob, crowd) = (agent_of(BOB), [(ann, TALKS[0]), (cid, TALKS[1]), (vic, TALKS[2])]);
        for round in ["x", "y"] {
            let [one, two, three] = crowd;
            let texts: Vec<String> = (0..5).map(|number| format!("{round}{number}")).collect();
            let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at: usize| texts[at].as_str());
            self.write_together(&[
                (one.0, one.1, a),
                (two.0, two.1, b),
                (three.0, three.1, c),
                (bob, TALKS[0], d),
                (bob, TALKS[1], e),
            ])
            .await;
        }
        let transfer = Command::Transfer { claim: None, to: TECH, note: Some("yours".into()), admitted: false };
        self.say(agent_of(BOB), "transfer", to(TALKS[1], transfer)).await;
        self.say(agent_of(DAN), "claim", claim(TALKS[2])).await;
        self.write(agent_of(DAN), TALKS[2], "d1").await;
        self.say(agent_of(DAN), "close", close(TALKS[2])).await;
    }

    async fn look_around(&mut self) {
        let list = |view| Query::List { view, queue: None, cursor: None, limit: 50 };
        let history = |from| Query::History { conversation: TALKS[0], forward: true, from, limit: 500 };
        let Outcome::History { entries, .. } = self.find(agent_of(ODA), history(0)).await else { panic!("a history") };
        assert_eq!(texts(&entries), self.written[&TALKS[0]]);
        let Outcome::History { entries, .. } = self.find(customer_of(ANN), history(4)).await else { panic!("a history") };
        assert!(self.written[&TALKS[0]].ends_with(&texts(&entries)));
        let Outcome::Rows { rows, .. } = self.find(agent_of(ODA), list(View::Closed)).await else { panic!("rows") };
        assert!(rows.iter().any(|row| row.conversation == TALKS[2]), "what has ended is in the list");
        let search = Query::Search { text: "a2".into(), queue: None, from: None, to: None, cursor: None, limit: 10 };
        let Outcome::Found { hits, .. } = self.find(agent_of(ODA), search).await else { panic!("hits") };
        assert_eq!(hits.iter().map(|hit| hit.row.conversation).collect::<Vec<_>>(), [TALKS[0]]);
    }

    /// Agents do nothing for five minutes, and once more; the customer who is not there is gone after fifteen.
    async fn timers(&mut self) {
        let eve = agent_of(EVE);
        self.write(customer_of(ANN), TALKS[0], "a3").await;
        self.write(agent_of(BOB), TALKS[0], "b2").await;
        self.pass(5 * MINUTE).await;
        assert_eq!(self.pick(eve, "p3", SALES).await, TALKS[0], "it waits again");
        self.write(eve, TALKS[0], "e1").await;
        self.pass(5 * MINUTE).await;
        self.pass(5 * MINUTE).await;
        assert_eq!(self.pick(eve, "p4", SALES).await, TALKS[0], "it waits again");
        self.write(eve, TALKS[0], "e2").await;
        self.say(eve, "end", close(TALKS[0])).await;
        self.start(customer_of(ANN), start(ANN, TALKS[3], SALES, "a4"), "a4").await;
        self.watch(customer_of(ANN), TALKS[3]).await;
    }

    /// Whatever has failed, all is well again, and nobody had to do anything.
    async fn is_served(&mut self) {
        self.trouble().set_over(true);
        let (vic, bob) = (visitor(2), agent_of(BOB));
        let talk = ConversationId::from_bits(45);
        let world = &self.world;
        world.done(customer_of(vic), start(vic, talk, TECH, "hello")).await;
        world.done(agent_of(DAN), claim(talk)).await;
        world.done(agent_of(DAN), message(talk, "well")).await;
        world.done(customer_of(vic), close(talk)).await;
        world.done(bob, to_agent(BOB, agent::Command::SetStatus { status: agent::Status::Away })).await;
        world.quiet().await;
        assert_eq!(texts(&world.log(talk).await), ["hello", "well"]);
    }

    // ---- what must be so

    async fn judge(&mut self) {
        self.pass(SECOND).await;
        self.trouble().set_over(true);
        let mut logs = BTreeMap::new();
        for talk in TALKS {
            let Outcome::History { entries, .. } =
                self.find(agent_of(ODA), Query::History { conversation: talk, forward: true, from: 0, limit: 500 }).await
            else {
                panic!("a history")
            };
            logs.insert(talk, entries);
        }
        for (talk, log) in &logs {
            assert_eq!(texts(log), self.written[talk], "{talk}: each message once, in order");
            assert_timers(log, if self.needs_somebody() { u64::MAX } else { LATE_MS });
        }
        assert_eq!(ends(&logs[&TALKS[0]]), [CloseCause::Agent]);
        assert_eq!(ends(&logs[&TALKS[1]]), [CloseCause::Inactive]);
        assert_eq!(ends(&logs[&TALKS[2]]), [CloseCause::Agent]);
        assert_eq!(ends(&logs[&TALKS[3]]), []);
        assert_eq!(releases(&logs[&TALKS[0]]), [BOB, EVE]);
        one_holder_at_a_time(&logs[&TALKS[0]]);
        self.all_agree(&logs).await;
        self.all_have_seen(&logs).await;
        self.trouble().set_over(false);
    }

    /// Conversations, queues, agents and customers.
    async fn all_agree(&mut self, logs: &BTreeMap<ConversationId, Vec<Entry>>) {
        let world = &self.world;
        let mut rows: BTreeMap<ConversationId, Row> = BTreeMap::new();
        for queue in [SALES, TECH] {
            let list = world.rows(queue).await;
            let summary = world.queue(queue).await;
            assert!(summary.open);
            let count = |state| list.iter().filter(|row| row.state == state).count() as u32;
            assert_eq!((summary.waiting, summary.active), (count(RowState::Waiting), count(RowState::Active)));
            rows.extend(list.into_iter().map(|row| (row.conversation, row)));
        }
        for (talk, log) in logs {
            let view = world.conversation(*talk).await;
            assert_eq!(view.head, log.len() as u64);
            let is_open = ends(log).is_empty();
            assert_eq!(rows.contains_key(talk), is_open, "{talk} is in its queue while it is open");
            if is_open {
                assert_eq!((rows[talk].holder, rows[talk].head), (view.row.holder, view.head), "{talk}");
            }
            for agent in [BOB, EVE, DAN] {
                let holds = world.agent(agent).await.held.iter().any(|(held, _)| held == talk);
                assert_eq!(holds, view.row.holder == Some(agent) && is_open, "{agent} and {talk}");
            }
            let customer = world.customer(view.row.customer).await;
            assert_eq!((customer.open.contains(talk), customer.ended.contains(talk)), (is_open, !is_open), "{talk}");
        }
        assert_eq!(world.agent(BOB).await.canned.len(), 1);
        let Outcome::Rows { rows: closed, .. } =
            self.find(agent_of(ODA), Query::List { view: View::Closed, queue: None, cursor: None, limit: 50 }).await
        else {
            panic!("rows")
        };
        let closed: Vec<ConversationId> = closed.iter().map(|row| row.conversation).filter(|it| TALKS.contains(it)).collect();
        let ended = TALKS.iter().filter(|talk| !ends(&logs[*talk]).is_empty());
        assert_eq!(closed.len(), ended.clone().count());
        assert!(ended.into_iter().all(|talk| closed.contains(talk)), "{closed:?}");
    }
}

fn account(agent: AgentId, queue: Option<QueueId>) -> Account {
    Account {
        name: format!("{agent}"),
        kind: AccountKind::Person,
        role: if queue.is_some() { Role::Agent } else { Role::Operator },
        queues: queue.into_iter().collect(),
        login: None,
        password_hash: None,
        tokens: Default::default(),
        disabled: false,
    }
}

fn set_canned() -> Order {
    to_agent(BOB, agent::Command::SetCanned { keyword: "hi".into(), text: Some("Hello".into()) })
}

fn ends(log: &[Entry]) -> Vec<CloseCause> {
    log.iter().filter_map(|entry| if let Body::Closed { cause, .. } = &entry.body { Some(*cause) } else { None }).collect()
}

/// Whose claims were dropped for doing nothing.
fn releases(log: &[Entry]) -> Vec<AgentId> {
    let released = |entry: &Entry| match &entry.body {
        Body::Released { agent, cause: ReleaseCause::Inactive } => Some(*agent),
        _ => None,
    };
    log.iter().filter_map(released).collect()
}

/// A claim is dropped five minutes after its holder has done something, not sooner and not much later.
fn assert_timers(log: &[Entry], late_ms: u64) {
    for (at, entry) in log.iter().enumerate() {
        let Body::Released { agent, cause: ReleaseCause::Inactive } = &entry.body else { continue };
        let does = |entry: &&Entry| {
            entry.by == Author::Agent(*agent) || matches!(&entry.body, Body::Claimed { agent: by, .. } if by == agent)
        };
        let last = log[..at].iter().rev().find(does).expect("who holds it has claimed it");
        let waited = entry.at.since_ms(last.at);
        assert!(waited >= 5 * MINUTE && waited - 5 * MINUTE <= late_ms, "{entry:?} after {waited} ms");
    }
}
