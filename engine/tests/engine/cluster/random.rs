//! Whatever happens to processes, in whatever order: people who repeat what was not answered find it done once, in order; nobody
//! holds what another holds; and in the end everybody agrees.
//!
//! `CLUSTER_SEEDS=first..last` runs other schedules than the usual hundred.

use std::collections::BTreeMap;

use fastrand::Rng;
use jono_domain::conversation::{Body, Entry, RowState};
use jono_domain::id::{AgentId, ConversationId};
use jono_domain::reply::Refusal;
use jono_engine::request::{Answer, Outcome};
use jono_store::ExchangeError;

use super::kit::{Cluster, Part, State};
use crate::kit::*;

/// A customer who writes one message after the other.
struct Writer {
    client: usize,
    talk: ConversationId,
    written: u32,
    under_way: Option<u64>,
}

/// An agent who takes conversations, writes in them and gives them back.
struct Server {
    client: usize,
    agent: AgentId,
    under_way: Option<u64>,
    written: u32,
}

struct Play {
    cluster: Cluster,
    dice: Rng,
    writers: Vec<Writer>,
    servers: Vec<Server>,
    story: Vec<String>,
}

/// People are connected to these for the whole time; they may be cut off, never killed.
const GATEWAYS: [usize; 2] = [0, 3];
/// It serves no shards.
const ONLY_GATEWAY: usize = 3;

impl Play {
    async fn begin(seed: u64) -> Self {
        let mut cluster = Cluster::begin(&[Part::Both, Part::Engine, Part::Engine, Part::Gateway]).await;
        let mut writers = Vec::new();
        for number in 0..4u128 {
            let client = cluster.customer(GATEWAYS[number as usize % 2], visitor(number)).await;
            cluster.yes(client, start(visitor(number), talk(number), SALES, "0")).await;
            writers.push(Writer { client, talk: talk(number), written: 0, under_way: None });
        }
        let mut servers = Vec::new();
        for (number, agent) in [BOB, EVE].into_iter().enumerate() {
            let client = cluster.agent(GATEWAYS[number], agent).await;
            servers.push(Server { client, agent, under_way: None, written: 0 });
        }
        Self { cluster, dice: Rng::with_seed(seed), writers, servers, story: Vec::new() }
    }

    fn note(&mut self, what: String) {
        self.story.push(format!("{:>6} {what}", self.cluster.now_ms));
    }

    fn people_act(&mut self) {
        let Self { cluster, dice, writers, servers, .. } = self;
        for writer in writers {
            if let Some(ticket) = writer.under_way {
                match cluster.clients[writer.client].take_answer(ticket) {
                    Some(answer) => expect_stored(answer),
                    None => continue,
                }
                writer.under_way = None;
            }
            if dice.usize(..6) == 0 {
                writer.written += 1;
                let order = message(writer.talk, &writer.written.to_string());
                writer.under_way = Some(cluster.clients[writer.client].say(&cluster.processes, order));
            }
        }
        for server in servers {
            if let Some(ticket) = server.under_way {
                match cluster.clients[server.client].take_answer(ticket) {
                    Some(
                        Ok(_)
                        | Err(Refusal::QueueEmpty | Refusal::ClaimHeld { .. } | Refusal::ClaimLost { .. } | Refusal::Conflict(_)),
                    ) => {}
                    Some(Err(Refusal::NotFound | Refusal::Forbidden)) => {}
                    Some(other) => panic!("{other:?}"),
                    None => continue,
                }
                server.under_way = None;
            }
            if dice.usize(..8) == 0 {
                let of = talk(dice.usize(..4) as u128);
                let order = match dice.usize(..4) {
                    0 => pick(SALES),
                    1 => claim(of),
                    2 => to(of, jono_domain::conversation::Command::Release { claim: None }),
                    _ => {
                        server.written += 1;
                        message(of, &format!("{} {}", server.agent, server.written))
                    }
                };
                server.under_way = Some(cluster.clients[server.client].say(&cluster.processes, order));
            }
        }
    }

    fn engines_alive(&self) -> Vec<usize> {
        let processes = self.cluster.processes.iter().enumerate();
        let engines = processes.filter(|(at, process)| *at != ONLY_GATEWAY && process.state == State::Alive);
        engines.map(|(at, _)| at).collect()
    }

    fn troubled(&self, state: State) -> Vec<usize> {
        self.cluster.processes.iter().enumerate().filter(|(_, it)| it.state == state).map(|(at, _)| at).collect()
    }

    async fn something_happens(&mut self) {
        let engines = self.engines_alive();
        // One failure at a time is promised; a little more is tried.
        let spare: Vec<usize> = if engines.len() > 1 { engines.clone() } else { Vec::new() };
        let killable: Vec<usize> = spare.iter().copied().filter(|at| !GATEWAYS.contains(at)).collect();
        let troubled = self.troubled(State::Frozen).len() + self.troubled(State::Cut).len();
        match self.dice.usize(..9) {
            0 if !killable.is_empty() && troubled == 0 => {
                let at = killable[self.dice.usize(..killable.len())];
                self.note(format!("{at} is killed"));
                self.cluster.crash_engine(at);
            }
            1 if !killable.is_empty() => {
                let at = killable[self.dice.usize(..killable.len())];
                self.note(format!("{at} leaves"));
                self.cluster.leave(at).await;
            }
            2 if engines.len() < 4 && self.cluster.processes.len() < 9 => {
                self.note("another comes".into());
                self.cluster.join(Part::Engine).await;
            }
            3 if !killable.is_empty() && troubled == 0 => {
                let at = killable[self.dice.usize(..killable.len())];
                self.note(format!("{at} stands still"));
                self.cluster.freeze(at);
            }
            4 if !spare.is_empty() && troubled == 0 => {
                let at = spare[self.dice.usize(..spare.len())];
                self.note(format!("{at} is cut off"));
                self.cluster.cut(at);
            }
            5 => {
                for at in self.troubled(State::Frozen) {
                    self.note(format!("{at} goes on"));
                    self.cluster.thaw(at);
                }
                for at in self.troubled(State::Cut) {
                    self.note(format!("{at} is there again"));
                    self.cluster.mend(at);
                }
            }
            6 => {
                let members = self.cluster.picture().await.members;
                let to = members[self.dice.usize(..members.len())].node;
                let count = 1 + self.dice.usize(..3);
                self.note(format!("{count} parcels to {to:?} are lost"));
                self.cluster.exchange.faults().lose_parcels(to, count);
            }
            7 => {
                self.note("answers to sends are lost".into());
                self.cluster.processes.iter().for_each(|process| process.wire.lose_answers(2));
            }
            8 => {
                let count = 1 + self.dice.usize(..5);
                self.note(format!("{count} sends fail"));
                self.cluster.exchange.faults().fail_sends(count, &ExchangeError::Unavailable("planned".into()));
            }
            _ => {}
        }
    }

    async fn run(&mut self) {
        for _ in 0..12 {
            self.something_happens().await;
            let until = self.cluster.now_ms + [200, 600, 1_500][self.dice.usize(..3)];
            while self.cluster.now_ms < until {
                self.people_act();
                self.cluster.step().await;
            }
        }
    }

    /// Everything is well again, and everybody has had their answer.
    async fn calm_down(&mut self) {
        self.troubled(State::Frozen).into_iter().for_each(|at| self.cluster.thaw(at));
        self.troubled(State::Cut).into_iter().for_each(|at| self.cluster.mend(at));
        self.cluster.pass(5_000).await;
        self.cluster.until_served().await;
        for at in 0..self.writers.len() {
            let Writer { client, under_way, .. } = self.writers[at];
            if let Some(ticket) = under_way {
                expect_stored(self.cluster.answer(client, ticket).await);
            }
        }
        for at in 0..self.servers.len() {
            if let Some(ticket) = self.servers[at].under_way {
                let _ = self.cluster.answer(self.servers[at].client, ticket).await;
            }
        }
        self.cluster.pass(3_000).await;
    }

    async fn judge(&mut self) {
        let mut held: BTreeMap<AgentId, Vec<ConversationId>> = BTreeMap::new();
        let rows: BTreeMap<_, _> = self.cluster.rows(SALES).await.into_iter().map(|row| (row.conversation, row)).collect();
        for Writer { client, talk, written, .. } in &self.writers {
            let log = self.cluster.log(*talk).await;
            let by_customer = log.iter().filter(|entry| matches!(entry.by, jono_domain::account::Author::Customer(_))).cloned();
            let expected: Vec<String> = (0..=*written).map(|number| number.to_string()).collect();
            assert_eq!(texts(&by_customer.collect::<Vec<_>>()), expected, "{talk}");
            let holder = one_holder_at_a_time(&log);
            holder.into_iter().for_each(|agent| held.entry(agent).or_default().push(*talk));
            let view = self.cluster.conversation(*talk).await;
            assert_eq!(view.row.holder, holder);
            let row = rows.get(talk).unwrap_or_else(|| panic!("{talk} is lost from its queue"));
            assert_eq!((row.holder, row.head), (holder, view.row.head), "{talk}");
            assert_eq!(row.state, if holder.is_some() { RowState::Active } else { RowState::Waiting });
            assert!(view.row.connected, "the customer of {talk} is there");
            self.cluster.all_have_seen(*talk, &[*client]).await;
        }
        for server in &self.servers {
            let mut found = self.cluster.held(server.agent).await;
            found.sort();
            assert_eq!(found, held.remove(&server.agent).unwrap_or_default(), "{}", server.agent);
            for talk in &found {
                self.cluster.all_have_seen(*talk, &[server.client]).await;
            }
            let (client, agent) = (&self.cluster.clients[server.client], server.agent);
            let mut last = 0;
            for talk in &found {
                assert!(client.tracks(*talk), "{agent} follows {talk}");
            }
            let mut logs = Vec::new();
            for number in 0..4 {
                logs.extend(self.cluster.log(talk(number)).await);
            }
            let mut numbers: Vec<u32> = logs
                .iter()
                .filter(|entry| entry.by == jono_domain::account::Author::Agent(agent))
                .filter_map(
                    |entry| if let Body::Message { text } = &entry.body { text.rsplit(' ').next()?.parse().ok() } else { None },
                )
                .collect();
            numbers.sort_unstable();
            for number in numbers {
                assert!(number > last, "{agent} said {number} once");
                last = number;
            }
        }
    }
}

fn expect_stored(answer: Answer) {
    assert!(matches!(answer, Ok(Outcome::Reply(_))), "{answer:?}");
}

/// Claims have numbers that grow, and each begins after the one before it has ended. Says who holds it in the end.
pub fn one_holder_at_a_time(log: &[Entry]) -> Option<AgentId> {
    let (mut holder, mut last) = (None, 0);
    for (at, entry) in log.iter().enumerate() {
        assert_eq!(entry.seq, at as u64 + 1, "without a hole");
        match &entry.body {
            Body::Claimed { agent, claim } => {
                assert!(holder.is_none() && *claim == last + 1, "{entry:?} while {holder:?} holds {last}");
                (holder, last) = (Some(*agent), *claim);
            }
            Body::Released { agent, .. } => assert_eq!(holder.take(), Some(*agent), "{entry:?}"),
            _ => {}
        }
    }
    holder
}

/// A hundred, or as many as are asked for, in as many tests as run at a time.
fn seeds(part: u64) -> impl Iterator<Item = u64> {
    let given = std::env::var("CLUSTER_SEEDS").ok();
    let given = given.as_deref().map(|given| given.split_once("..").expect("first..last"));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let all = given.map_or(0..100, |(first, last)| number(first)..number(last));
    all.filter(move |seed| seed % PARTS == part)
}

/// See [`seeds`].
const PARTS: u64 = 4;

fn play(part: u64) {
    for seed in seeds(part) {
        let story = std::cell::RefCell::new(Vec::new());
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(async {
                let mut play = Play::begin(seed).await;
                play.run().await;
                story.replace(play.story.clone());
                play.calm_down().await;
                play.judge().await;
            });
        }));
        if let Err(panic) = played {
            eprintln!("CLUSTER_SEEDS={seed}..{}:\n{}", seed + 1, story.borrow().join("\n"));
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn whatever_happens_everybody_agrees_in_the_end() {
    play(0);
}

#[test]
fn whatever_else_happens_everybody_agrees_in_the_end() {
    play(1);
}

#[test]
fn whatever_happens_instead_everybody_agrees_in_the_end() {
    play(2);
}

#[test]
fn whatever_happens_besides_everybody_agrees_in_the_end() {
    play(3);
}
