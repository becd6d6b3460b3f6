//! One step of an entity: what it is asked, what it decides, what of it must be stored, what follows.

use jono_domain::account::Who;
use jono_domain::id::ConversationId;
use jono_domain::machine::{Context, Weight};
use jono_domain::message::{Effect, IndexChange, Order};
use jono_domain::reply::Reply;
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{Answer as StoredAnswer, IndexChange as StoredIndexChange, Write};

use super::Entity;
use crate::answers::Remembered;
use crate::codec;
use crate::delivery::Moved;
use crate::directory::Directory;
use crate::kind::{Kind, key_of};
use crate::letter::{Ask, answered};
use crate::limits::EVENTS_PER_SNAPSHOT;
use crate::output::{Asker, Output, SharedFollowers, output_of};
use crate::recent::{Fate, Ident};
use crate::request::ReplyTo;
use crate::shard::{Step, Tale};

impl<M: Kind> Entity<M> {
    pub(super) fn context<'a>(&self, directory: &'a Directory, who: Who) -> Context<'a> {
        let named = who.organisation().or_else(|| self.state.organisation());
        let organisation = match named {
            Some(id) => directory.organisation(id),
            None => directory.of(self.address),
        };
        Context { now: self.host.clock.now(), who, organisation: organisation.map(|organisation| &**organisation) }
    }

    pub(super) fn ask(&mut self, ask: Ask, reply_to: &mut Option<ReplyTo>) {
        if let Some(panic_if) = self.host.panic_if
            && panic_if(&ask.order)
        {
            panic!("ordered by a test");
        }
        let ident = Ident::of(reply_to.as_ref());
        if let Some(fate) = self.fate(&ask, ident) {
            self.host.counters.repeats.add(1);
            let asker =
                Asker { who: ask.who, key: ask.key, reply_to: reply_to.take().unwrap_or(ReplyTo::Nobody), hops: ask.hops };
            let output = match fate {
                Fate::Answered(answer) => Output::Reply(asker.reply_to, *answer),
                Fate::SentOn(order) => Output::Post(asker.forward(order)),
            };
            return self.submit(None, vec![output], None);
        }
        let Ask { who, key, order, hops, .. } = ask;
        let may_come_twice = order.may_come_twice();
        let Some(command) = M::command(order) else { return };
        let decided = {
            let directory = self.host.directory.load();
            let context = self.context(&directory, who);
            self.state.decide(self.id, &command, &context).map(|events| {
                events.iter().for_each(|event| self.state.evolve(event));
                let reply = self.state.answer(self.id, &command, &events, &context);
                (events, reply)
            })
        };
        match decided {
            Ok((events, reply)) => {
                pass(KillPoint::StepDecided);
                let effects: Vec<Effect> = events.iter().flat_map(|event| self.state.react(self.id, event)).collect();
                let write = self.write(&events);
                if let Some(ident) = ident.filter(|_| hops > 0)
                    && let Some(Effect::Forward(order)) = effects.iter().find(|effect| matches!(effect, Effect::Forward(_)))
                {
                    self.recent.remember(ident, M::order(self.id, command.clone()), Fate::SentOn(order.clone()));
                }
                // A commit that would only store such an answer is one too many: typing has keys, too.
                let key = key.filter(|_| write.is_some() || !may_come_twice);
                let asker = Asker { who, key, reply_to: reply_to.take().unwrap_or(ReplyTo::Nobody), hops };
                let is_tale = who == Who::Engine && write.is_some();
                let tale = is_tale.then(|| Tale { order: M::order(self.id, command), told: hops });
                self.hand_in(write, effects, Some(asker), reply, tale);
            }
            Err(refusal) => {
                if let Some(ident) = ident {
                    self.recent.remember(ident, M::order(self.id, command), Fate::Answered(Box::new(Err(refusal.clone()))));
                }
                let reply_to = reply_to.take().unwrap_or(ReplyTo::Nobody);
                self.submit(None, vec![Output::Reply(reply_to, Err(refusal))], None);
            }
        }
        self.set_alarm();
    }

    /// What became of the same request when it came before; `None` if it is new, or nobody remembers.
    fn fate(&self, ask: &Ask, ident: Option<Ident>) -> Option<Fate> {
        match self.remembered(ask) {
            Some(Remembered::Answered(reply)) => Some(Fate::Answered(Box::new(answered(Ok(reply))))),
            Some(Remembered::Forwarded(order)) => Some(Fate::SentOn(self.state.again(order))),
            None => self.recent.find(ident?, &ask.order),
        }
    }

    fn remembered(&self, ask: &Ask) -> Option<Remembered> {
        if is_broken(Rule::AnswersAreRemembered) {
            return None;
        }
        let remembered = self.answers.find(ask.who, ask.key.as_deref()?)?;
        match remembered {
            Remembered::Answered(_) => Some(remembered),
            // A request that comes back here on its way goes on; only its repeat is sent the same way again.
            Remembered::Forwarded(ref order) => (ask.hops == 0 || M::is_overtaken(&ask.order, order)).then_some(remembered),
        }
    }

    /// Makes events so, and hands in what follows from them.
    pub(super) fn apply(&mut self, events: &[M::Event], effects: Vec<Effect>) {
        events.iter().for_each(|event| self.state.evolve(event));
        let reactions = events.iter().flat_map(|event| self.state.react(self.id, event));
        let effects = effects.into_iter().chain(reactions).collect();
        let write = self.write(events);
        self.hand_in(write, effects, None, None, None);
    }

    /// Tells those of these shards anew what they should know of it.
    pub(super) fn announce(&mut self, moved: &Moved) {
        let told = self.state.announce(self.id).into_iter();
        let told: Vec<Effect> =
            told.filter(|effect| matches!(effect, Effect::Tell(order) if moved.holds(order.address()))).collect();
        if let Some(followers) = &self.followers {
            // Only to what the account still has: it asks those how they stand.
            let has = |conversation| told.iter().any(|effect| is_for(effect, conversation));
            self.host.lead_again(followers, has);
        }
        self.hand_in(None, told, None, None, None);
    }

    fn hand_in(
        &mut self,
        mut write: Option<Write>,
        effects: Vec<Effect>,
        asker: Option<Asker>,
        reply: Option<Reply>,
        tale: Option<Tale>,
    ) {
        let mut outputs = Vec::with_capacity(effects.len() + 1);
        let mut asker = asker;
        // The answer goes last: whoever has it finds everything as it says.
        let mut answer = None;
        if let Some(reply) = reply
            && let Some(asker) = asker.take()
        {
            if let Some(key) = &asker.key {
                self.remember(&mut write, asker.who, key, &Remembered::Answered(reply.clone()));
            }
            answer = Some(Output::Reply(asker.reply_to, answered(Ok(reply))));
        }
        for effect in effects {
            match effect {
                Effect::Forward(order) => {
                    let Some(asker) = asker.take() else { continue };
                    if let Some(key) = &asker.key
                        && !is_broken(Rule::ForwardsAreRemembered)
                        && (asker.hops == 0 || self.answers.find(asker.who, key).is_some())
                    {
                        self.remember(&mut write, asker.who, key, &Remembered::Forwarded(order.clone()));
                    }
                    outputs.push(Output::Post(asker.forward(order)));
                }
                Effect::RecheckFollowers => outputs.extend(self.expel()),
                effect => {
                    let followers = match &self.followers {
                        Some(followers) => followers,
                        // Nobody can be told anything: other entities can.
                        None => &SharedFollowers::default(),
                    };
                    outputs.extend(output_of(effect, followers, self.state.settings()));
                }
            }
        }
        outputs.extend(answer);
        self.submit(write, outputs, tale);
    }

    /// What must be stored for these events; `None` if nothing must.
    fn write(&mut self, events: &[M::Event]) -> Option<Write> {
        let mut log = Vec::new();
        let mut kept = false;
        let mut index = Vec::new();
        for event in events {
            match M::weight(event) {
                Weight::Logged => log.push(codec::encode(event).into()),
                Weight::Kept => kept = true,
                Weight::Passing => continue,
            }
            index.extend(self.state.index(self.id, event).into_iter().map(stored_index));
        }
        if log.is_empty() && !kept {
            return None;
        }
        self.is_stored = true;
        let expected_seq = self.seq;
        self.seq += log.len() as u64;
        self.events_since_snapshot += log.len() as u32;
        let due = kept || self.events_since_snapshot >= EVENTS_PER_SNAPSHOT;
        let snapshot = due.then(|| codec::encode(&self.state).into());
        if due {
            pass(KillPoint::SnapshotTaken);
            self.events_since_snapshot = 0;
        }
        let live = self.state.is_live();
        let live_changed = live != std::mem::replace(&mut self.live_stored, live);
        Some(Write {
            entity: key_of(self.address),
            expected_seq,
            log,
            snapshot,
            live: live_changed.then_some(live),
            answers: Vec::new(),
            index,
        })
    }

    fn remember(&mut self, write: &mut Option<Write>, who: Who, key: &str, remembered: &Remembered) {
        // Also where nothing had to be changed: it might have to be when the request comes again.
        let now = self.host.clock.now();
        let (key, value) = self.answers.remember(who, key, remembered, now);
        let write = write.get_or_insert_with(|| Write {
            entity: key_of(self.address),
            expected_seq: self.seq,
            log: Vec::new(),
            snapshot: None,
            live: None,
            answers: Vec::new(),
            index: Vec::new(),
        });
        write.answers.push(StoredAnswer { key, at_ms: now.0, value });
    }

    /// Sends at once what rests on nothing unconfirmed; hands everything else in.
    pub(super) fn submit(&mut self, write: Option<Write>, outputs: Vec<Output>, tale: Option<Tale>) {
        if write.is_none() && self.load.unconfirmed.get() == 0 {
            return self.host.send(outputs);
        }
        self.load.unconfirmed.set(self.load.unconfirmed.get() + 1);
        self.host.submit(self.shard, Step::new(self.address, write, outputs, tale));
        pass(KillPoint::StepSubmitted);
    }
}

fn is_for(effect: &Effect, conversation: ConversationId) -> bool {
    matches!(effect, Effect::Tell(Order::Conversation(told, _)) if *told == conversation)
}

fn stored_index(change: IndexChange) -> StoredIndexChange {
    match change {
        IndexChange::Put { key, row } => StoredIndexChange::Put { key: key.into(), value: codec::encode(&*row).into() },
        IndexChange::Delete { key } => StoredIndexChange::Delete { key: key.into() },
    }
}
