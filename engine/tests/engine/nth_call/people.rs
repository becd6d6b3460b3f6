//! The people of a run and the process they talk to. They behave as real clients do: what is `unavailable` they repeat under its
//! key; whoever lost their session comes back with the last event that they have. Somebody starts the process again when that is
//! what it takes, and only then.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jono_domain::account::{Audience, Who};
use jono_domain::conversation::Entry;
use jono_domain::id::ConversationId;
use jono_domain::message::{Address, Order};
use jono_domain::reply::{Refusal, Reply};
use jono_engine::clock::ManualClock;
use jono_engine::delivery::SessionRef;
use jono_engine::limits::{RELOAD_PAUSE_MS, RETRY_AFTER_MS};
use jono_engine::request::{Answer, Outcome, Query};
use jono_engine::{EngineConfig, StartError};
use jono_store::{FjallStore, MemoryStore, Store};
use tempfile::TempDir;

use super::store::{Call, Fault, NthCall, Trouble, Way};
use crate::kit::*;

/// How often a request is repeated before service is taken to be away: ten seconds.
const TRIES_MAX: usize = 20;

/// A conversation that waits may be lost from its queue for so long.
const LOST_FROM_QUEUE_MS: u64 = 5 * SECOND;

/// Where the records are.
pub enum Ground {
    Memory(MemoryStore),
    Disk(TempDir),
}

impl Ground {
    fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(records) => Arc::new(records.reopen()),
            Self::Disk(dir) => Arc::new(FjallStore::open(dir.path(), jono_store::Durability::Memory).expect("opens")),
        }
    }
}

/// What somebody asked, and was answered first.
struct Said {
    who: Who,
    key: String,
    order: Order,
    answer: Answer,
}

/// A session that follows a conversation, over all lives of the process.
struct Watcher {
    who: Who,
    of: ConversationId,
    session: SessionRef,
    requests: u64,
    seen: Vec<Entry>,
}

impl Watcher {
    fn audience(&self) -> Audience {
        if matches!(self.who, Who::Customer(..)) { Audience::Customer } else { Audience::Agent }
    }
}

pub struct People {
    ground: Ground,
    trouble: Arc<Trouble>,
    pub world: World,
    said: Vec<Said>,
    watchers: Vec<Watcher>,
    /// Texts that were acknowledged, in the order in which they were.
    pub written: BTreeMap<ConversationId, Vec<String>>,
    has_been_attended: bool,
}

impl People {
    pub async fn begin(ground: Ground, fault: Option<Fault>) -> Self {
        let trouble = Trouble::of(fault);
        let world = start(&ground, &trouble, ManualClock::at(BEGINNING)).await;
        let (said, watchers, written) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { ground, trouble, world, said, watchers, written, has_been_attended: false }
    }

    /// Nothing goes on behind it.
    pub fn end(&self) {
        self.world.engine.crash();
    }

    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The process ends and another one begins: on memory as after a kill, on a disk in order, since the directory must be
    /// given back. One failure at a time is promised: what has failed before has been tried again by then.
    pub async fn restart(&mut self) {
        self.settle().await;
        self.collect();
        match self.ground {
            Ground::Memory(_) => self.world.engine.crash(),
            Ground::Disk(_) => as_time_passes(&self.world.clock, self.world.engine.stop()).await,
        }
        self.world = start(&self.ground, &self.trouble, Arc::clone(&self.world.clock)).await;
        for at in 0..self.watchers.len() {
            self.follow(at).await;
        }
    }

    /// Somebody looks after a process that says that it cannot go on.
    async fn attend(&mut self) {
        if self.trouble.has_struck() && self.needs_somebody() && !self.has_been_attended {
            self.has_been_attended = true;
            Box::pin(self.restart()).await;
        }
    }

    /// The fault is one that the process does not get over by itself.
    pub fn needs_somebody(&self) -> bool {
        self.trouble.fault().is_some_and(Fault::needs_somebody)
    }

    /// Time passes, and what failed meanwhile has been tried again.
    pub async fn pass(&mut self, ms: u64) {
        self.attend().await;
        self.world.pass(ms).await;
        self.attend().await;
        self.settle().await;
    }

    async fn settle(&self) {
        for _ in 0..3 {
            self.world.pass(RELOAD_PAUSE_MS).await;
        }
    }

    // ---- asking

    /// Asks until there is an answer.
    async fn ask(&mut self, who: Who, key: &str, order: &Order) -> Answer {
        for _ in 0..TRIES_MAX {
            match self.world.as_time_passes(self.world.ask_keyed(who, key, order.clone())).await {
                Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => {
                    self.world.clock.advance(RETRY_AFTER_MS);
                    self.attend().await;
                }
                answer => return answer,
            }
        }
        panic!("{key}: service does not resume");
    }

    /// Asks under a key, and expects a yes.
    pub async fn say(&mut self, who: Who, key: &str, order: Order) -> Reply {
        self.try_to_say(who, key, order).await.unwrap_or_else(|refusal| panic!("{key}: {refusal:?}"))
    }

    async fn try_to_say(&mut self, who: Who, key: &str, order: Order) -> Result<Reply, Refusal> {
        let answer = self.ask(who, key, &order).await;
        let reply = match answer.clone()? {
            Outcome::Reply(reply) => reply,
            other => panic!("{key}: {other:?}"),
        };
        self.said.push(Said { who, key: key.into(), order, answer });
        Ok(reply)
    }

    pub async fn write(&mut self, who: Who, to: ConversationId, text: &str) {
        self.say(who, text, message(to, text)).await;
        self.written.entry(to).or_default().push(text.into());
    }

    /// Several people write at the same time, so that one commit holds what many did.
    pub async fn write_together(&mut self, all: &[(Who, ConversationId, &str)]) {
        let mut stored = Vec::new();
        let mut left = all.to_vec();
        for _ in 0..TRIES_MAX {
            let asked = left.iter().map(|(who, to, text)| self.world.ask_keyed(*who, text, message(*to, text)));
            let answers = self.world.as_time_passes(join_all(asked)).await;
            let mut again = Vec::new();
            for ((who, to, text), answer) in left.into_iter().zip(answers) {
                match &answer {
                    Ok(Outcome::Reply(Reply::Stored { seq, .. })) => {
                        stored.push((*seq, to, text));
                        self.said.push(Said { who, key: text.into(), order: message(to, text), answer });
                    }
                    Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => again.push((who, to, text)),
                    other => panic!("{text}: {other:?}"),
                }
            }
            left = again;
            if left.is_empty() {
                stored.sort();
                stored.into_iter().for_each(|(_, to, text)| self.written.entry(to).or_default().push(text.into()));
                return;
            }
            self.world.clock.advance(RETRY_AFTER_MS);
            self.attend().await;
        }
        panic!("service does not resume for {left:?}");
    }

    pub async fn start(&mut self, who: Who, order: Order, text: &str) {
        match self.say(who, text, order).await {
            Reply::Started { conversation, .. } => drop(self.written.insert(conversation, vec![text.into()])),
            other => panic!("{other:?}"),
        }
    }

    /// Takes the next customer; a queue may have to hear of them first.
    pub async fn pick(&mut self, who: Who, key: &str, queue: jono_domain::id::QueueId) -> ConversationId {
        let patience = jono_engine::clock::Clock::now(&*self.world.clock) + LOST_FROM_QUEUE_MS;
        loop {
            match self.try_to_say(who, key, pick(queue)).await {
                Ok(Reply::Claimed { conversation, .. }) => return conversation,
                Err(Refusal::QueueEmpty) if jono_engine::clock::Clock::now(&*self.world.clock) < patience => {
                    self.pass(RELOAD_PAUSE_MS).await;
                }
                other => panic!("{key}: {other:?}"),
            }
        }
    }

    pub async fn find(&mut self, who: Who, query: Query) -> Outcome {
        for _ in 0..TRIES_MAX {
            match self.world.as_time_passes(self.world.query(who, query.clone())).await {
                Ok(outcome) => return outcome,
                Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => {
                    self.world.clock.advance(RETRY_AFTER_MS);
                    self.attend().await;
                }
                Err(other) => panic!("{query:?}: {other:?}"),
            }
        }
        panic!("{query:?}: service does not resume");
    }

    /// Whatever was answered is answered again as it was at first.
    pub async fn repeat_everything(&mut self) {
        for at in 0..self.said.len() {
            let Said { who, key, order, answer } = &self.said[at];
            let (who, key, order, first) = (*who, key.clone(), order.clone(), answer.clone());
            assert_eq!(self.ask(who, &key, &order).await, first, "{key} is repeated");
        }
    }

    /// A day later nobody repeats any more.
    pub fn forget_what_was_said(&mut self) {
        self.said.clear();
    }

    // ---- following

    pub async fn watch(&mut self, who: Who, of: ConversationId) {
        let session = self.world.session(who).id;
        self.watchers.push(Watcher { who, of, session, requests: 0, seen: Vec::new() });
        self.follow(self.watchers.len() - 1).await;
    }

    async fn follow(&mut self, at: usize) {
        let Watcher { who, of, .. } = self.watchers[at];
        let after = self.watchers[at].seen.last().map_or(0, |entry| entry.seq);
        self.watchers[at].session = self.world.session(who).id;
        for _ in 0..TRIES_MAX {
            let session = self.session(at);
            let answer = self.world.as_time_passes(session.follow(Address::Conversation(of), after)).await;
            self.watchers[at].requests = session.requests.get();
            match answer {
                Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => self.world.clock.advance(RETRY_AFTER_MS),
                answer => return assert_eq!(from_seq(answer), after, "{who:?} has all before it"),
            }
            if self.trouble.has_struck() && self.needs_somebody() && !self.has_been_attended {
                // All are led back.
                return self.attend().await;
            }
        }
        panic!("{who:?} cannot follow {of}");
    }

    fn session(&self, at: usize) -> Session<'_> {
        let Watcher { who, session, requests, .. } = self.watchers[at];
        Session { world: &self.world, id: session, who, requests: Cell::new(requests) }
    }

    /// Takes what the sessions were sent: each event once, in order, naming the one before it.
    fn collect(&mut self) {
        for at in 0..self.watchers.len() {
            let events = self.session(at).events(self.watchers[at].of);
            let watcher = &mut self.watchers[at];
            for entry in events {
                let last = watcher.seen.last().map_or(0, |entry| entry.seq);
                assert!(entry.seq > last, "{:?} is told {entry:?} again after {last}", watcher.who);
                assert_eq!(entry.prev_for(watcher.audience()), last, "{:?} misses something", watcher.who);
                watcher.seen.push(entry);
            }
        }
    }

    /// The sessions were sent all that they may see.
    pub async fn all_have_seen(&mut self, logs: &BTreeMap<ConversationId, Vec<Entry>>) {
        for at in 0..self.watchers.len() {
            let Watcher { of, .. } = self.watchers[at];
            let audience = self.watchers[at].audience();
            let expected: Vec<Entry> = logs[&of].iter().filter(|entry| entry.is_for(audience)).cloned().collect();
            let last = expected.last().map_or(0, |entry| entry.seq);
            if self.watchers[at].seen.last().is_none_or(|entry| entry.seq < last) {
                self.session(at).wait_for_event(of, last).await;
            }
            let of_this_life = self.session(at).events(of);
            let seen: Vec<Entry> = self.watchers[at].seen.iter().cloned().chain(of_this_life).collect();
            assert_eq!(seen, expected, "{:?}", self.watchers[at].who);
        }
    }
}

/// Starts the process; if that fails, once more.
async fn start(ground: &Ground, trouble: &Arc<Trouble>, clock: Arc<ManualClock>) -> World {
    let mut failed = false;
    loop {
        let store = NthCall::over(ground.open(), trouble);
        let config = EngineConfig { arbiters: 1, shards: 2, clock: clock.clone(), ..EngineConfig::default() };
        let plan = Plan { config, clock: Arc::clone(&clock), records: MemoryStore::new(), store: store.clone() };
        match as_time_passes(&clock, plan.start()).await {
            Ok(world) => return world,
            Err(error) => {
                assert!(!failed && trouble.has_struck(), "{error}");
                assert!(says(&error, trouble.fault()), "{error}");
                failed = true;
                store.close().await;
                // Its threads end meanwhile.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// Why the process did not start is what has failed.
fn says(error: &StartError, fault: Option<Fault>) -> bool {
    use jono_store::{CommitError, ReadError};
    let Some(Fault { call, way, .. }) = fault else { return false };
    match error {
        StartError::Commit(CommitError::Unavailable(_)) => {
            matches!(call, Call::Acquire | Call::Constant) && way == Way::Unavailable
        }
        StartError::Commit(CommitError::Unknown(_)) => {
            matches!(call, Call::Acquire | Call::Constant) && matches!(way, Way::Lost | Way::Applied)
        }
        StartError::Read(ReadError::Unavailable(_)) => call == Call::LoadLive && way == Way::Unavailable,
        StartError::Read(ReadError::Corrupt(_)) => call == Call::LoadLive && way == Way::Corrupt,
        StartError::Replaced => call == Call::Commit && way == Way::Fenced,
        StartError::Commit(_) | StartError::Unknown(_) | StartError::Exchange(_) | StartError::Unserved => false,
    }
}
