//! The model stands for the real thing: spans stand to each other as they do there, and the conversation decides alike.

use std::collections::BTreeMap;
use std::rc::Rc;

use jono_domain::account::{AccountKind, Role, Who};
use jono_domain::conversation::{self as real, Command, Conversation, Start};
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId};
use jono_domain::organisation::{Account, Organisation, Policy, QueueConfig, QueueSettings};
use jono_domain::time::Time;
use jono_domain::{Context, Machine as _};
use jono_engine::cluster::limits::{BEAT_EVERY_MS, DEAD_AFTER_MS, LOOK_COUNTS_MS, STOP_AFTER_MS};
use jono_model::talk::{Answer, Entry, Phase, Talk, Wish};
use jono_model::times::{CLOSE_AFTER, DEAD_AFTER, LOOK_COUNTS, Moment, RELEASE_AFTER, SERVED_WITHIN, STOP_AFTER};

/// A tick of the cluster's spans.
const TICK_MS: u64 = 1_000;

#[test]
fn spans_stand_to_each_other_as_in_the_engine() {
    let policy = Policy::default();
    // What takes part in the race between a holder that stops and others that wait is to scale.
    assert_eq!((STOP_AFTER as u64 * TICK_MS, DEAD_AFTER as u64 * TICK_MS), (STOP_AFTER_MS, DEAD_AFTER_MS));
    // A look a tick sees what several looks in that time see.
    const { assert!(BEAT_EVERY_MS <= LOOK_COUNTS_MS && LOOK_COUNTS_MS <= LOOK_COUNTS as u64 * TICK_MS) };
    const { assert!(STOP_AFTER_MS + LOOK_COUNTS_MS <= DEAD_AFTER_MS && STOP_AFTER + LOOK_COUNTS <= DEAD_AFTER) };
    // A takeover is over before a claim is dropped, and that before a conversation is closed.
    assert!(DEAD_AFTER_MS + 2 * BEAT_EVERY_MS < policy.release_after_ms && DEAD_AFTER + LOOK_COUNTS < RELEASE_AFTER);
    assert!(policy.release_after_ms < policy.close_after_ms && RELEASE_AFTER < CLOSE_AFTER);
    // G13.
    assert_eq!(u64::from(SERVED_WITHIN) * TICK_MS, 5_000);
}

/// One conversation twice: the model's, and the real machine's under the same spans.
#[derive(Clone)]
struct Pair {
    model: Talk,
    real: Conversation,
    now: u64,
    settings: Rc<Organisation>,
}

const ORGANISATION: OrganisationId = OrganisationId::from_bits(1);
const QUEUE: QueueId = QueueId::from_bits(2);
const CUSTOMER: CustomerId = CustomerId::from_bits(3);
const TALK: ConversationId = ConversationId::from_bits(4);
const AGENTS: [AgentId; 2] = [AgentId::from_bits(5), AgentId::from_bits(6)];

fn agent() -> Account {
    Account {
        name: "an agent".into(),
        kind: AccountKind::Person,
        role: Role::Agent,
        queues: [QUEUE].into(),
        login: None,
        password_hash: None,
        tokens: BTreeMap::new(),
        disabled: false,
    }
}

impl Pair {
    fn started() -> Self {
        let policy = Policy {
            release_after_ms: RELEASE_AFTER as u64 * TICK_MS,
            close_after_ms: CLOSE_AFTER as u64 * TICK_MS,
            warn_before_ms: 0,
            ..Policy::default()
        };
        let mut settings = Organisation { id: ORGANISATION, ..Organisation::default() };
        let settings_of_queue = QueueSettings { policy, ..QueueSettings::default() };
        settings.queues.insert(QUEUE, QueueConfig { name: "a queue".into(), settings: settings_of_queue });
        settings.accounts.extend(AGENTS.map(|id| (id, agent())));
        let (model, real, settings) = (Talk::started(true), Conversation::default(), Rc::new(settings));
        let mut pair = Self { model, real, now: 1_000_000, settings };
        let start = Start {
            organisation: ORGANISATION,
            customer: CUSTOMER,
            customer_name: None,
            metadata: Vec::new(),
            message: None,
            priority: 0,
        };
        let start = Command::Start { start: start.into(), queue: QUEUE, position: 1, wait_ms: None };
        assert!(pair.really(Who::Customer(ORGANISATION, CUSTOMER), &start));
        pair
    }

    /// What the real machine does; says whether it accepts.
    fn really(&mut self, who: Who, command: &Command) -> bool {
        let settings = Rc::clone(&self.settings);
        let context = Context { now: Time(self.now), who, organisation: Some(&settings) };
        let Ok(events) = self.real.decide(TALK, command, &context) else { return false };
        events.iter().for_each(|event| self.real.evolve(event));
        true
    }

    fn wish(&mut self, wish: Wish) {
        let (body, answer) = self.model.decide(wish, true);
        if let Some(body) = body {
            self.model.evolve(&Entry { body, at: NOW, request: None });
        }
        let agent = |agent: u8| Who::Agent(ORGANISATION, AGENTS[usize::from(agent)]);
        let accepted = match wish {
            Wish::Claim(by) => self.really(agent(by), &Command::Claim { picked: None }),
            Wish::Release(by, claim) => self.really(agent(by), &Command::Release { claim: Some(u64::from(claim)) }),
            Wish::Say => {
                self.really(Who::Customer(ORGANISATION, CUSTOMER), &Command::Send { claim: None, text: "a word".into() })
            }
        };
        assert_eq!(accepted, answer != Answer::No, "{wish:?} of {:?}", self.model);
    }

    fn tick(&mut self) {
        self.now += TICK_MS;
        self.model.age();
        while let Some(body) = self.model.expire(0) {
            self.model.evolve(&Entry { body, at: NOW, request: None });
        }
        while self.real.next_deadline().is_some_and(|at| at <= Time(self.now)) {
            let events = self.real.expire(TALK, Time(self.now));
            events.iter().for_each(|event| self.real.evolve(event));
        }
    }

    fn agree(&self) {
        let (model, life) = (&self.model, &self.real.life);
        let phase = match life.phase {
            real::Phase::Nothing => panic!("it is started"),
            real::Phase::Waiting => Phase::Waiting,
            real::Phase::Active { holder } => Phase::Active(u8::from(holder != AGENTS[0])),
            real::Phase::Closed { .. } => Phase::Closed,
        };
        assert_eq!((phase, life.claim), (model.phase, u64::from(model.claim)));
        let ticks = |at: Option<i8>| at.map(|at| Time(self.now + at as u64 * TICK_MS));
        let deadlines = life.deadlines();
        assert_eq!((deadlines.release_at, deadlines.close_at), (ticks(model.release_at()), ticks(model.close_at())));
    }
}

const NOW: Moment = Moment { shown: 0, ahead: 0, excused: 0 };

/// Every sequence of so many things.
fn try_all(pair: &Pair, steps: u8) {
    pair.agree();
    if steps == 0 {
        return;
    }
    let last = pair.model.claim;
    let mut wishes = vec![Wish::Claim(0), Wish::Claim(1), Wish::Say];
    for agent in 0..2 {
        wishes.extend([Wish::Release(agent, last), Wish::Release(agent, last.saturating_sub(1))]);
    }
    for wish in wishes {
        let mut next = pair.clone();
        next.wish(wish);
        try_all(&next, steps - 1);
    }
    for ticks in [1, RELEASE_AFTER - 1] {
        let mut next = pair.clone();
        (0..ticks).for_each(|_| next.tick());
        try_all(&next, steps - 1);
    }
}

#[test]
fn the_conversation_decides_as_the_real_one_does() {
    try_all(&Pair::started(), 5);
}
