//! What may happen next, and what must never be so.
//!
//! Whoever runs does what is due before the tick ends: a tick passes when nothing is left to do, but for those who stand still or
//! whose calls take long. In which order things are done within a tick is open, and all orders are tried.

use stateright::{Model, Property};

use crate::action::Action;
use crate::engine::{Engine, Held};
use crate::rules::Cluster;
use crate::steps::commit_of;
use crate::store::Outcome;
use crate::system::System;
use crate::talk::Phase;
use crate::times::CLOCK_STEP;
use crate::witness::{Breach, CLAIMS_MAX};

/// Records in a log that is looked at; without broken rules no log is so long.
const ENTRIES_MAX: u8 = 16;

impl Cluster {
    fn engine_actions(&self, system: &System, at: usize, actions: &mut Vec<Action>) {
        let engine = &system.engines[at];
        if !engine.is_up {
            actions.push(Action::Restart(at));
            return;
        }
        let is_on_its_way = engine.under_way.is_some_and(|under_way| under_way.outcome.is_none());
        if is_on_its_way {
            actions.push(Action::Commit(at));
        }
        if engine.is_paused {
            actions.push(Action::Resume(at));
            return;
        }
        if engine.under_way.is_some() && !is_on_its_way {
            actions.push(Action::Confirm(at));
        }
        if let Some(body) = engine.due(&self.rules) {
            actions.push(Action::Expire(at, body));
        }
        if engine.picture.is_some() {
            actions.push(Action::Look(at));
        } else if !engine.has_beaten {
            actions.push(Action::Beat(at));
        }
        if must_stop(engine) {
            actions.push(Action::Stop(at));
        }
        if !engine.removing.is_empty() {
            actions.push(Action::Remove(at));
        }
        match engine.held {
            // The commits and acquisitions of a process go one after the other.
            Held::Wanted if engine.removing.is_empty() && !is_on_its_way => actions.push(Action::Raise(at)),
            Held::Raised(_) => actions.push(Action::Adopt(at)),
            Held::Going(_) if engine.under_way.is_none() => actions.push(Action::GiveBack(at)),
            Held::Owned(_) if engine.mind.is_none() && engine.under_way.is_none() => actions.push(Action::Load(at)),
            Held::Nothing | Held::Wanted | Held::Owned(_) | Held::Going(_) | Held::Fenced => {}
        }
        if engine.serves() && engine.has_room() {
            actions.extend(system.letters(self).map(|request| Action::Take(at, request)));
        }
    }

    fn faults(&self, system: &System, at: usize, actions: &mut Vec<Action>) {
        let (engine, faults) = (&system.engines[at], &system.faults);
        if faults.in_all == 0 {
            return;
        }
        // What runs is not moved by it, so it is set before a start.
        if faults.clock_steps > 0 && (!engine.is_up || !self.rules.is_steady) {
            actions.extend([Action::SetClock(at, CLOCK_STEP), Action::SetClock(at, -CLOCK_STEP)]);
        }
        if faults.crashes > 0 && engine.is_up {
            actions.push(Action::Crash(at));
        }
        if !engine.runs() {
            return;
        }
        let calls = engine.under_way.is_some() || matches!(engine.held, Held::Wanted | Held::Raised(_));
        if faults.losses > 0 && calls {
            actions.push(Action::LoseAnswer(at));
        }
        if faults.delays > 0 && calls && !engine.is_slow {
            actions.push(Action::Delay(at));
        }
        if faults.losses > 0 && !engine.has_beaten {
            actions.push(Action::LoseBeat(at));
        }
        if faults.pauses > 0 {
            actions.push(Action::Pause(at));
            if !engine.has_beaten {
                actions.push(Action::PauseInBeat(at));
            }
            if engine.serves() && engine.has_room() {
                actions.extend(system.letters(self).map(|request| Action::PauseInTake(at, request)));
            }
        }
    }

    /// Nothing is left to do before time passes.
    fn can_tick(&self, system: &System) -> bool {
        system.engines.iter().all(|engine| {
            !engine.runs()
                || engine.has_beaten
                    && engine.picture.is_none()
                    && !must_stop(engine)
                    && engine.due(&self.rules).is_none()
                    && (engine.is_slow || !has_calls(engine))
        })
    }

    fn tick(&self, system: &mut System) {
        let is_served = system.is_served();
        let is_excused = system.engines.iter().all(|engine| !engine.runs()) || system.engines.iter().any(|engine| engine.is_slow);
        let overslept = |engine: &Engine| {
            engine.serves()
                && engine.under_way.is_none()
                && system.store.talk.expire(engine.clock).is_some()
                && engine.epoch() == Some(system.store.epoch)
        };
        if system.engines.iter().any(overslept) {
            system.witness.note(Breach::TimerSilent);
        }
        system.witness.age(is_served || is_excused);
        system.engines.iter_mut().for_each(Engine::age);
        system.store.talk.age();
        system.store.swamp.iter_mut().for_each(|(_, commit)| commit.entry.at.age());
    }

    fn do_fault(&self, system: &mut System, action: Action) {
        // It is given another while.
        system.witness.unserved = 0;
        let faults = &mut system.faults;
        faults.in_all -= 1;
        match action {
            Action::Crash(at) => {
                faults.crashes -= 1;
                system.crash(at);
            }
            Action::Pause(at) => {
                faults.pauses -= 1;
                system.engines[at].is_paused = true;
            }
            Action::PauseInTake(at, request) => {
                faults.pauses -= 1;
                system.engines[at].is_paused = true;
                system.take(self, at, request);
            }
            Action::PauseInBeat(at) => {
                faults.pauses -= 1;
                system.engines[at].is_paused = true;
                system.beat(at);
            }
            Action::SetClock(at, by) => {
                faults.clock_steps -= 1;
                let engine = &mut system.engines[at];
                engine.wall += by;
                if !self.rules.is_steady && engine.is_up {
                    engine.clock += by;
                    engine.tenure = (engine.tenure - by).max(0);
                }
            }
            Action::Delay(at) => {
                faults.delays -= 1;
                system.engines[at].is_slow = true;
            }
            Action::LoseAnswer(at) => {
                faults.losses -= 1;
                match system.engines[at].held {
                    Held::Wanted if system.engines[at].under_way.is_none() => {
                        system.raise(at);
                        system.engines[at].leave();
                    }
                    Held::Raised(_) if system.engines[at].under_way.is_none() => system.engines[at].leave(),
                    _ => system.lose_outcome(at),
                }
                system.engines[at].is_slow = false;
            }
            Action::LoseBeat(at) => {
                faults.losses -= 1;
                let engine = &mut system.engines[at];
                engine.has_beaten = true;
                system.exchange.beat(engine.node);
            }
            Action::Duplicate(request) => {
                faults.duplicates -= 1;
                system.requests[request].has_double = true;
            }
            _ => {}
        }
    }
}

fn must_stop(engine: &Engine) -> bool {
    !engine.is_stopped && engine.tenure <= 0
}

/// Something of it is on its way.
fn has_calls(engine: &Engine) -> bool {
    engine.under_way.is_some()
        || !engine.removing.is_empty()
        || match engine.held {
            Held::Nothing | Held::Fenced => false,
            Held::Wanted | Held::Raised(_) | Held::Going(_) => true,
            Held::Owned(_) => engine.mind.is_none(),
        }
}

impl Model for Cluster {
    type State = System;
    type Action = Action;

    fn init_states(&self) -> Vec<System> {
        vec![System::begin(self)]
    }

    fn actions(&self, system: &System, actions: &mut Vec<Action>) {
        for at in 0..system.engines.len() {
            self.engine_actions(system, at, actions);
            self.faults(system, at, actions);
        }
        if system.faults.in_all > 0 && system.faults.duplicates > 0 {
            let taken = (0..self.wishes.len()).filter(|request| system.requests[*request].is_taken);
            actions.extend(taken.map(Action::Duplicate));
        }
        actions.extend((0..system.store.swamp.len()).map(Action::CommitLate));
        if self.can_tick(system) {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &System, action: Action) -> Option<System> {
        let mut system = before.clone();
        match action {
            Action::Tick => self.tick(&mut system),
            Action::Take(at, request) => system.take(self, at, request),
            Action::Expire(at, body) => system.expire(self, at, body),
            Action::Commit(at) => {
                let under_way = system.engines[at].under_way?;
                let outcome = system.commit(self, &commit_of(&under_way)?);
                system.engines[at].under_way.as_mut()?.outcome = Some(outcome);
            }
            Action::Confirm(at) => system.confirm(self, at),
            Action::Load(at) => {
                system.store.settle(at);
                let System { engines, store, .. } = &mut system;
                engines[at].load(&store.talk, &self.rules);
                engines[at].is_slow = false;
            }
            Action::Beat(at) => {
                system.beat(at);
                system.look(self, at);
            }
            Action::Look(at) => system.look(self, at),
            Action::Stop(at) => system.stop_if_out_of_touch(at),
            Action::Remove(at) => system.remove(self, at),
            Action::Raise(at) => system.raise(at),
            Action::Adopt(at) => system.adopt(self, at),
            Action::GiveBack(at) => system.give_back(at),
            Action::CommitLate(place) => {
                let (_, commit) = system.store.swamp.remove(place);
                system.commit(self, &commit);
            }
            Action::Restart(at) => {
                system.witness.unserved = 0;
                system.engines[at] = Engine::started(system.engines[at].wall, system.exchange.join());
            }
            Action::Resume(at) => {
                // Others may have its shard, or are about to have it.
                system.witness.unserved = 0;
                system.resume(self, at);
            }
            Action::Crash(_)
            | Action::Pause(_)
            | Action::PauseInTake(..)
            | Action::PauseInBeat(_)
            | Action::SetClock(..)
            | Action::Delay(_)
            | Action::LoseAnswer(_)
            | Action::LoseBeat(_)
            | Action::Duplicate(_) => self.do_fault(&mut system, action),
        }
        system.store.drain(self.rules.fences);
        Some(system)
    }

    fn within_boundary(&self, system: &System) -> bool {
        let is_over = system.store.talk.phase == Phase::Closed
            && system.store.swamp.is_empty()
            && system.engines.iter().all(|engine| engine.under_way.is_none());
        !is_over && usize::from(system.store.talk.claim) + 1 < CLAIMS_MAX && system.store.talk.entries < ENTRIES_MAX
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("G1 G2: an answer rests on what is stored", |_, s: &System| kept(s, Breach::AnswerNotStored)),
            Property::always("G2: a request is applied at most once", |_, s: &System| kept(s, Breach::AppliedTwice)),
            Property::always("G2: what was applied is answered so", |_, s: &System| kept(s, Breach::AnswerDiffers)),
            Property::always("G5: nothing is written under an old epoch", |_, s: &System| kept(s, Breach::OldEpochWrites)),
            Property::always("G6: never two holders of a claim", |_, s: &System| kept(s, Breach::TwoHolders)),
            Property::always("G6: an old claim's number moves nothing", |_, s: &System| kept(s, Breach::OldNumberCounts)),
            Property::always("G6: who is taken for dead has stopped", |_, s: &System| kept(s, Breach::DeadServes)),
            Property::always("G7: a claim ends once", |_, s: &System| kept(s, Breach::ReleasedTwice)),
            Property::always("G7: timers are never early", |_, s: &System| kept(s, Breach::TimerEarly)),
            Property::always("G7: what is due fires while it is served", |_, s: &System| kept(s, Breach::TimerSilent)),
            Property::always("G8: a customer who was heard is not closed upon", |_, s: &System| kept(s, Breach::ClosedEarly)),
            Property::always("G13: a shard is served again in time", |_, s: &System| kept(s, Breach::Unserved)),
            Property::sometimes("a commit is fenced", |_, s: &System| {
                s.engines.iter().any(|engine| engine.under_way.is_some_and(|commit| commit.outcome == Some(Outcome::Fenced)))
            }),
            Property::sometimes("a claim outlives its owner", |_, s: &System| {
                matches!(s.store.talk.phase, Phase::Active(_)) && s.store.epoch > 1 && s.is_served()
            }),
            Property::sometimes("not promised: the answer of one who stood still", |_, s: &System| {
                !kept(s, Breach::AnsweredLate)
            }),
            Property::sometimes("not promised: the answer of one who is replaced", |_, s: &System| {
                !kept(s, Breach::AnsweredByReplaced)
            }),
            Property::sometimes("it is closed by another owner", |_, s: &System| {
                s.store.talk.phase == Phase::Closed && s.store.epoch > 1
            }),
        ]
    }
}

fn kept(system: &System, breach: Breach) -> bool {
    !system.witness.has_seen(breach)
}
