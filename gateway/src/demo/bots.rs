//! Scripted visitors, and *Robo*, a scripted agent that serves every other one of them. The others wait for
//! somebody at the desk.
//!
//! They are sessions like all others: they follow what sessions follow, and ask for what clients ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jono_domain::account::{AccountKind, Author, Role, Who};
use jono_domain::conversation::{self, Body, Entry, Start};
use jono_domain::customer;
use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId};
use jono_domain::limits::PRIORITY_MIN;
use jono_domain::message::{Address, Order};
use jono_domain::notice::Notice;
use jono_domain::organisation::{Account, Change, Command};
use jono_domain::reply::{Refusal, Reply};
use jono_domain::time::Time;
use jono_engine::Engine;
use jono_engine::delivery::{Deliver, Delivery, SessionRef};
use jono_engine::request::{Answer, Follow, Outcome, ReplyTo};
use tokio::sync::watch;

use super::talks::{TALKS, Talk};
use super::{ORGANISATION, SUPPORT, known};
use crate::auth::random_bits;

/// Visitors at a time.
const VISITS_MAX: usize = 4;
/// How often a visitor tries to leave.
const LEAVES_MAX: usize = 3;
/// How long the visitors have for leaving when the process ends.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// What a visitor needs to hear of is small: all of it.
const BYTES_MAX: usize = 64 * 1024;
const ROBO: &str = "agt_demoroboaaaaaaaaaaaaaaaaaa";
/// Robo's session; visitors have higher numbers.
const ROBO_SESSION: u64 = 0;

/// From and to, milliseconds.
type Span = (u64, u64);

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Before the first visitor.
    first: Span,
    /// Between visitors.
    between: Span,
    /// Before Robo takes one.
    claim: Span,
    /// Before somebody begins to type.
    read: Span,
    /// For every character that is typed.
    typed: Span,
    /// After something was refused.
    retry: Span,
    /// How long a visitor waits for something to happen.
    patience: Span,
    /// Is this visitor, by number, one of Robo's?
    is_for_robo: fn(u64) -> bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: (1_000, 2_000),
            between: (10_000, 20_000),
            claim: (4_000, 8_000),
            read: (1_500, 4_000),
            typed: (40, 80),
            retry: (2_000, 5_000),
            patience: (120_000, 180_000),
            is_for_robo: |number| number.is_multiple_of(2),
        }
    }
}

/// The scripted ones while they come and go. Dropped, they stay where they are; see [`Bots::stop`].
pub struct Bots {
    leave: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Bots {
    /// Lets them come: Robo's account is made where it is missing. The demo organisation is there.
    ///
    /// # Errors
    /// Why the account could not be made.
    pub async fn start(engine: &Engine) -> Result<Self, String> {
        Self::start_at(engine, Pace::default()).await
    }

    async fn start_at(engine: &Engine, pace: Pace) -> Result<Self, String> {
        make_robo(engine).await?;
        let stage = Stage::new(engine, pace);
        let (leave, left) = watch::channel(false);
        Ok(Self { leave, running: actix_rt::spawn(async move { stage.run(left).await }) })
    }

    /// Nobody comes any more, and who is there leaves.
    pub async fn stop(self) {
        self.leave.send_replace(true);
        let abort = self.running.abort_handle();
        if tokio::time::timeout(STOP_PATIENCE, self.running).await.is_err() {
            abort.abort();
        }
    }
}

async fn make_robo(engine: &Engine) -> Result<(), String> {
    let (organisation, agent): (OrganisationId, AgentId) = (known(ORGANISATION), known(ROBO));
    if engine.directory().organisation(organisation).is_some_and(|demo| demo.account(agent).is_some()) {
        return Ok(());
    }
    let account = Account {
        name: "Robo".into(),
        kind: AccountKind::Bot,
        role: Role::Agent,
        queues: BTreeSet::from([known(SUPPORT)]),
        login: None,
        password_hash: None,
        tokens: BTreeMap::new(),
        disabled: false,
    };
    let change = Change::PutAgent { agent, account: Some(Box::new(account)) };
    let order = Order::Organisation(organisation, Box::new(Command::Change(Box::new(change))));
    let made = engine.ask(Who::Root, None, order).await;
    made.map(drop).map_err(|refusal| format!("the demo's scripted agent cannot be made: {refusal:?}"))
}

/// What a visitor has seen of their conversation.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The last event.
    head: u64,
    holder: Option<AgentId>,
    /// Who wrote last.
    is_answered: bool,
    is_over: bool,
}

impl Seen {
    fn note(&mut self, entry: &Entry) {
        self.head = entry.seq;
        match &entry.body {
            Body::Claimed { agent, .. } | Body::Assigned { to: agent, .. } => self.holder = Some(*agent),
            Body::Released { .. } | Body::Transferred { .. } => self.holder = None,
            Body::Message { .. } => self.is_answered = matches!(entry.by, Author::Agent(_)),
            Body::Closed { .. } => self.is_over = true,
            _ => {}
        }
    }
}

/// A visitor who is there.
struct Guest {
    customer: CustomerId,
    conversation: ConversationId,
    seen: watch::Sender<Seen>,
}

/// The visitors who are there, by session.
#[derive(Default)]
struct Guests(Mutex<HashMap<u64, Guest>>);

impl Guests {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Guest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliver for Guests {
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let guests = self.lock();
        for (session, delivery) in batch {
            // Robo needs to hear nothing: what it does is decided by what its visitor sees.
            let Some(guest) = guests.get(&session.session) else { continue };
            if let Delivery::Notice(shared) = &delivery
                && let Notice::Entry { conversation, entry, .. } = &shared.value
                && *conversation == guest.conversation
            {
                guest.seen.send_modify(|seen| seen.note(entry));
            }
        }
    }
}

/// What all visits share.
struct Stage {
    engine: Engine,
    pace: Pace,
    gateway: u64,
    guests: Arc<Guests>,
    organisation: OrganisationId,
    robo: AgentId,
}

impl Stage {
    fn new(engine: &Engine, pace: Pace) -> Self {
        let guests = Arc::new(Guests::default());
        let gateway = engine.attach_gateway(Arc::clone(&guests) as Arc<dyn Deliver>);
        Self { engine: engine.clone(), pace, gateway, guests, organisation: known(ORGANISATION), robo: known(ROBO) }
    }

    async fn run(&self, mut left: watch::Receiver<bool>) {
        self.follow(ROBO_SESSION, self.robo(), Address::Agent(self.robo), false);
        let mut visits = FuturesUnordered::new();
        let mut next_at = self.later(self.pace.first);
        let begin = random(TALKS.len() as u64);
        let mut number = 0;
        loop {
            tokio::select! {
                // Ends also when there is nobody any more who could say so.
                _ = async { left.wait_for(|left| *left).await.is_ok() } => break,
                Some(()) = visits.next() => {}
                () = self.engine.clock().sleep_until(next_at) => {
                    next_at = self.later(self.pace.between);
                    if visits.len() < VISITS_MAX {
                        let talk = &TALKS[((begin + number) % TALKS.len() as u64) as usize];
                        let is_for_robo = (self.pace.is_for_robo)(number);
                        number += 1;
                        visits.push(self.visit(number, talk, is_for_robo));
                    }
                }
            }
        }
        drop(visits);
        let there: Vec<_> = self.guests.lock().drain().map(|(_, guest)| (guest.customer, guest.conversation)).collect();
        for (customer, conversation) in there {
            let close = conversation::Command::Close { claim: None };
            let _ = self.engine.ask(self.customer(customer), None, Order::Conversation(conversation, Box::new(close))).await;
        }
    }

    async fn visit(&self, session: u64, talk: &'static Talk, is_for_robo: bool) {
        let customer = CustomerId::from_bits(random_bits());
        let conversation = ConversationId::from_bits(random_bits());
        let (sender, seen) = watch::channel(Seen::default());
        self.guests.lock().insert(session, Guest { customer, conversation, seen: sender });
        self.follow(session, self.customer(customer), Address::Customer(customer), true);
        let mut visit = Visit { stage: self, customer, conversation, talk, is_for_robo, seen, said: 1 };
        // Who cannot begin is not missed: the next one comes soon.
        if visit.begin().await {
            visit.go_on().await;
        }
        self.guests.lock().remove(&session);
        for what in [Address::Customer(customer), Address::Conversation(conversation)] {
            self.engine.unfollow(self.session(session), what);
        }
        self.engine.unfollow(self.session(ROBO_SESSION), Address::Conversation(conversation));
    }

    fn follow(&self, session: u64, who: Who, what: Address, is_new: bool) {
        let session = self.session(session);
        let follow = Follow { session, who, what, after: 0, bytes_max: BYTES_MAX, is_new, reply_to: ReplyTo::Nobody };
        // A visitor who sees nothing leaves after a while.
        let _ = self.engine.follow(follow);
    }

    fn session(&self, session: u64) -> SessionRef {
        SessionRef { gateway: self.gateway, session }
    }

    fn customer(&self, customer: CustomerId) -> Who {
        Who::Customer(self.organisation, customer)
    }

    fn robo(&self) -> Who {
        Who::Agent(self.organisation, self.robo)
    }

    fn later(&self, span: Span) -> Time {
        self.engine.clock().now() + between(span)
    }
}

/// One visitor's conversation.
struct Visit<'a> {
    stage: &'a Stage,
    customer: CustomerId,
    conversation: ConversationId,
    talk: &'static Talk,
    is_for_robo: bool,
    seen: watch::Receiver<Seen>,
    /// The visitor's lines so far.
    said: usize,
}

impl Visit<'_> {
    async fn begin(&mut self) -> bool {
        let start = Start {
            organisation: self.stage.organisation,
            customer: self.customer,
            customer_name: Some(self.talk.name.into()),
            metadata: Vec::new(),
            message: self.talk.line(0).map(str::to_owned),
            // Whoever is real is served first.
            priority: PRIORITY_MIN,
        };
        let command = customer::Command::Start { conversation: self.conversation, queue: known(SUPPORT), start: Box::new(start) };
        let order = Order::Customer(self.customer, Box::new(command));
        self.stage.engine.ask(self.stage.customer(self.customer), None, order).await.is_ok()
    }

    async fn go_on(&mut self) {
        let (customer, robo, pace) = (self.stage.customer(self.customer), self.stage.robo(), self.stage.pace);
        let mut robo_at = self.stage.later(pace.claim);
        let mut patience = self.stage.later(pace.patience);
        let mut head = 0;
        loop {
            let seen = *self.seen.borrow_and_update();
            if seen.is_over {
                return;
            }
            if seen.head != head {
                head = seen.head;
                patience = self.stage.later(pace.patience);
            }
            let now = self.stage.engine.clock().now();
            if now >= patience {
                return self.leave().await;
            }
            let is_robos = seen.holder == Some(self.stage.robo);
            match seen.holder {
                None if self.is_for_robo && now >= robo_at => {
                    robo_at = self.stage.later(pace.claim);
                    if self.ask(robo, None, conversation::Command::Claim { picked: None }).await.is_ok() {
                        self.wait_for(|seen| seen.holder.is_some()).await;
                    }
                }
                None => self.news_or(if self.is_for_robo { robo_at.min(patience) } else { patience }).await,
                Some(_) if seen.is_answered => match self.talk.line(self.said) {
                    Some(line) => {
                        if self.say(customer, "line", line).await {
                            self.said += 1;
                        }
                    }
                    None => {
                        self.pause(pace.read).await;
                        return self.leave().await;
                    }
                },
                Some(_) => match self.talk.answer(self.said) {
                    Some(answer) if is_robos => {
                        self.say(robo, "answer", answer).await;
                    }
                    Some(_) => self.news_or(patience).await,
                    None => {
                        self.pause(pace.read).await;
                        if !is_robos {
                            return self.leave().await;
                        }
                        match self.ask(robo, None, conversation::Command::Close { claim: None }).await {
                            Ok(_) => self.wait_for(|seen| seen.is_over).await,
                            Err(_) => self.pause(pace.retry).await,
                        }
                    }
                },
            }
        }
    }

    /// Reads, types, sends: has it been sent?
    async fn say(&mut self, who: Who, what: &str, text: &str) -> bool {
        let pace = self.stage.pace;
        self.pause(pace.read).await;
        // Without it nothing is lost.
        let _ = self.ask(who, None, conversation::Command::Type { typing: true, preview: None }).await;
        let characters = text.chars().count() as u64;
        self.pause((pace.typed.0 * characters, pace.typed.1 * characters)).await;
        // Said once, whatever the first try came to.
        let key = Some(format!("{what}-{}", self.said));
        match self.ask(who, key, conversation::Command::Send { claim: None, text: text.into() }).await {
            Ok(Outcome::Reply(Reply::Stored { seq, .. })) => {
                self.wait_for(|seen| seen.head >= seq).await;
                true
            }
            _ => {
                self.pause(pace.retry).await;
                false
            }
        }
    }

    async fn leave(&mut self) {
        for _ in 0..LEAVES_MAX {
            let close = conversation::Command::Close { claim: None };
            match self.ask(self.stage.customer(self.customer), None, close).await {
                Ok(_) | Err(Refusal::ConversationClosed) => return,
                Err(_) => self.pause(self.stage.pace.retry).await,
            }
        }
    }

    async fn ask(&self, who: Who, key: Option<String>, command: conversation::Command) -> Answer {
        self.stage.engine.ask(who, key, Order::Conversation(self.conversation, Box::new(command))).await
    }

    /// Until the visitor has seen it; what does not come for long never will.
    async fn wait_for(&mut self, is_so: impl Fn(&Seen) -> bool) {
        let until = self.stage.later(self.stage.pace.retry);
        tokio::select! {
            _ = async { self.seen.wait_for(|seen| seen.is_over || is_so(seen)).await.is_ok() } => {}
            () = self.stage.engine.clock().sleep_until(until) => {}
        }
    }

    async fn news_or(&mut self, until: Time) {
        tokio::select! {
            _ = self.seen.changed() => {}
            () = self.stage.engine.clock().sleep_until(until) => {}
        }
    }

    async fn pause(&self, span: Span) {
        self.stage.engine.clock().sleep_until(self.stage.later(span)).await;
    }
}

fn between((from, to): Span) -> u64 {
    from + random(to.saturating_sub(from) + 1)
}

/// Below that number, which is not 0.
fn random(below: u64) -> u64 {
    (random_bits() % u128::from(below)) as u64
}

#[cfg(test)]
mod tests;
