//! The whole: two engines, the store, whoever asks, and what a witness who sees everything has noted.

use crate::engine::{Engine, Held, Step, UnderWay};
use crate::rules::{Cluster, Faults};
use crate::store::{Commit, Exchange, Outcome, Owner, Store};
use crate::talk::{Answer, Body, Entry, REQUESTS_MAX, Talk, Wish};
use crate::times::{CLOSE_AFTER, RELEASE_AFTER};
use crate::witness::{Breach, Witness};

/// A request, as whoever made it sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Request {
    /// An engine has taken it, at least once.
    pub is_taken: bool,
    /// A letter that was sent twice, and comes again whatever became of the first.
    pub has_double: bool,
    /// The answer; later ones find nobody.
    pub told: Option<Answer>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct System {
    /// Two of them.
    pub engines: [Engine; 2],
    /// The records.
    pub store: Store,
    /// Members and owner.
    pub exchange: Exchange,
    /// In the order of [`Cluster::wishes`].
    pub requests: [Request; REQUESTS_MAX],
    /// What may still go wrong.
    pub faults: Faults,
    /// What is noted for the properties; nobody decides by it.
    pub witness: Witness,
}

impl System {
    /// All is well: both are members, the first owns the shard, the conversation waits.
    #[must_use]
    pub fn begin(cluster: &Cluster) -> Self {
        let talk = Talk::started(cluster.closes);
        let mut exchange = Exchange { members: Vec::new(), last_node: 0, owner: Owner::default() };
        let mut engines = [0, 1].map(|_| Engine::started(0, exchange.join()));
        // Whoever is preferred has it.
        let owner = usize::from(cluster.prefers_newcomers);
        exchange.owner = Owner { node: engines[owner].node, epoch: 1 };
        engines[owner].held = Held::Owned(1);
        engines[owner].load(&talk, &cluster.rules);
        let nodes = [engines[0].node, engines[1].node];
        for (place, engine) in engines.iter_mut().enumerate() {
            engine.is_stopped = false;
            engine.tenure = cluster.rules.stop_after;
            engine.owner = exchange.owner;
            engine.others = vec![(nodes[1 - place], 0)];
            engine.has_beaten = true;
            engine.has_looked = true;
        }
        Self {
            engines,
            store: Store { epoch: 1, talk, swamp: Vec::new() },
            exchange,
            requests: [Request::default(); REQUESTS_MAX],
            faults: cluster.faults,
            witness: Witness::default(),
        }
    }

    /// What the request wants, as far as it can be asked yet.
    #[must_use]
    pub fn wish(&self, cluster: &Cluster, request: usize) -> Option<Wish> {
        match *cluster.wishes.get(request)? {
            // Under the number that this agent was told for its first claim.
            Wish::Release(agent, _) => {
                cluster.wishes.iter().zip(&self.requests).find_map(|(wish, request)| match (wish, request.told) {
                    (Wish::Claim(by), Some(Answer::Claimed(claim))) if *by == agent => Some(Wish::Release(agent, claim)),
                    _ => None,
                })
            }
            wish => Some(wish),
        }
    }

    /// An engine that runs is about to answer it.
    #[must_use]
    pub fn is_in_good_hands(&self, request: usize) -> bool {
        self.engines.iter().filter(|engine| engine.runs() && !engine.is_slow).any(|engine| {
            let steps = engine.under_way.map(|under_way| under_way.step).into_iter().chain(engine.waiting);
            steps.filter_map(|step| step.reply).any(|(number, _)| usize::from(number) == request)
        })
    }

    /// Requests that may come to an engine now: those that are not answered, and are asked again whenever nobody is about to
    /// answer them; and letters that come twice. Who claims asks in order, and so does who writes: they are all alike, so nothing is
    /// left out.
    pub fn letters<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = usize> + 'a {
        (0..cluster.wishes.len()).filter(|number| {
            let request = &self.requests[*number];
            let is_turn = || {
                let wish = self.wish(cluster, *number);
                let mut before = cluster.wishes.iter().zip(&self.requests).take(*number);
                match wish {
                    Some(Wish::Claim(_)) => before.all(|(wish, other)| !matches!(wish, Wish::Claim(_)) || other.is_taken),
                    Some(Wish::Say) => before.all(|(wish, other)| *wish != Wish::Say || other.is_taken),
                    Some(Wish::Release(..)) => true,
                    None => false,
                }
            };
            request.has_double || request.told.is_none() && is_turn() && !self.is_in_good_hands(*number)
        })
    }

    /// Somebody serves the shard.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.engines.iter().any(Engine::serves)
    }

    // ---- beats

    /// The beat reaches the exchange; the answer comes back with the picture.
    pub fn beat(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        engine.has_beaten = true;
        let is_member = self.exchange.beat(engine.node);
        let picture = self.exchange.picture(at, engine.node);
        engine.picture = Some(if is_member { picture } else { crate::store::Picture { others: None, ..picture } });
    }

    /// The engine takes the picture in.
    pub fn look(&mut self, cluster: &Cluster, at: usize) {
        let Some(picture) = self.engines[at].picture.take() else { return };
        self.stop_if_out_of_touch(at);
        let engine = &mut self.engines[at];
        let Some(others) = picture.others else {
            engine.stop();
            *engine = Engine {
                wall: engine.wall,
                clock: engine.clock,
                started: engine.started,
                removing: std::mem::take(&mut engine.removing),
                under_way: engine.under_way,
                is_slow: engine.is_slow,
                ..Engine::started(engine.wall, self.exchange.join())
            };
            return;
        };
        if picture.age >= cluster.rules.stop_after {
            engine.has_beaten = false;
            return;
        }
        engine.tenure = cluster.rules.stop_after - picture.age;
        engine.is_stopped = false;
        if engine.held == Held::Fenced {
            engine.leave();
        }
        let dead = engine.note_members(&others);
        engine.owner.hear(picture.owner);
        let published = engine.judge(&cluster.rules, cluster.prefers_newcomers);
        engine.removing.extend(&dead);
        if let Some(owner) = published {
            self.exchange.owner.hear(owner);
        }
        let is_alive = |engine: &Engine| engine.is_up && engine.tenure > 0 && dead.contains(&engine.node);
        if self.engines.iter().any(is_alive) {
            self.witness.note(Breach::DeadServes);
        }
    }

    /// By its own clock.
    pub fn stop_if_out_of_touch(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        if !engine.is_stopped && engine.tenure <= 0 {
            engine.stop();
        }
    }

    // ---- taking a shard over

    /// Those that were taken for dead are no members any more.
    pub fn remove(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        let removing = std::mem::take(&mut engine.removing);
        engine.is_slow = false;
        let has_woken = self.exchange.members.iter().any(|member| removing.contains(&member.node) && member.beat_for[at]);
        if cluster.rules.removes_only_silent && has_woken {
            if engine.held == Held::Wanted {
                engine.held = Held::Nothing;
            }
            return;
        }
        self.exchange.members.retain(|member| !removing.contains(&member.node));
    }

    /// From now on nobody writes under an earlier epoch.
    pub fn raise(&mut self, at: usize) {
        self.store.settle(at);
        self.store.epoch += 1;
        self.engines[at].held = Held::Raised(self.store.epoch);
    }

    /// Reads what there is, serves it, and says so.
    pub fn adopt(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        let Held::Raised(epoch) = engine.held else { return };
        engine.held = Held::Owned(epoch);
        engine.is_slow = false;
        let owner = Owner { node: engine.node, epoch };
        engine.owner.hear(owner);
        engine.load(&self.store.talk, &cluster.rules);
        self.exchange.owner.hear(owner);
    }

    /// What was decided is stored: others may have it.
    pub fn give_back(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        let Held::Going(epoch) = engine.held else { return };
        engine.leave();
        let owner = Owner { node: 0, epoch };
        engine.owner.hear(owner);
        self.exchange.owner.hear(owner);
    }

    // ---- steps

    /// A letter is taken.
    pub fn take(&mut self, cluster: &Cluster, at: usize, request: usize) {
        let is_double = self.requests[request].told.is_some() || self.is_in_good_hands(request);
        self.requests[request].is_taken = true;
        self.requests[request].has_double &= !is_double;
        let wish = self.wish(cluster, request);
        let engine = &mut self.engines[at];
        let now = engine.now();
        let (Some(wish), Some(mind)) = (wish, &mut engine.mind) else { return };
        let number = request as u8;
        let (body, answer) = match mind.answers[request] {
            Some(answer) => (None, answer),
            None if engine.refused & (1 << request) != 0 => (None, Answer::No),
            None => mind.decide(wish, cluster.rules.compares_numbers),
        };
        let entry = body.map(|body| Entry { body, at: now, request: cluster.rules.remembers.then_some((number, answer)) });
        if entry.is_none() && answer == Answer::No {
            engine.refused |= 1 << request;
        }
        self.step(cluster, at, Step { entry, reply: Some((number, answer)) });
    }

    /// A deadline has passed.
    pub fn expire(&mut self, cluster: &Cluster, at: usize, body: Body) {
        let entry = Entry { body, at: self.engines[at].now(), request: None };
        self.step(cluster, at, Step { entry: Some(entry), reply: None });
    }

    fn step(&mut self, cluster: &Cluster, at: usize, step: Step) {
        let engine = &mut self.engines[at];
        let (Some(epoch), Some(mind)) = (engine.epoch(), &mut engine.mind) else { return };
        let expected = mind.entries;
        if let Some(entry) = &step.entry {
            mind.evolve(entry);
            engine.set_alarm(&cluster.rules);
        }
        if engine.under_way.is_some() {
            engine.waiting = Some(step);
        } else if step.entry.is_some() {
            engine.under_way = Some(UnderWay { step, epoch, expected, outcome: None });
        } else if engine.is_paused {
            // It fell asleep before it could say so.
            engine.waiting = Some(step);
        } else {
            return self.tell(cluster, at, step.reply);
        }
        if !cluster.rules.confirms_first {
            self.tell(cluster, at, step.reply);
        }
    }

    /// A commit arrives at the store, which takes it or not; says what became of it.
    pub fn commit(&mut self, cluster: &Cluster, commit: &Commit) -> Outcome {
        let outcome = self.store.judge(commit, cluster.rules.fences);
        if outcome == Outcome::Applied {
            self.note(cluster, commit);
            self.store.talk.evolve(&commit.entry);
        }
        outcome
    }

    /// The engine hears what became of its commit.
    pub fn confirm(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        let Some(under_way) = engine.under_way.take() else { return };
        engine.is_slow = false;
        let is_current = engine.epoch() == Some(under_way.epoch);
        match under_way.outcome {
            Some(Outcome::Applied) => {
                if is_current && let Some(next) = engine.waiting.take() {
                    match next.entry {
                        Some(_) => {
                            let (epoch, expected) = (under_way.epoch, under_way.expected + 1);
                            engine.under_way = Some(UnderWay { step: next, epoch, expected, outcome: None });
                        }
                        // It rests on nothing that is stored, so only an owner may say it.
                        None if engine.tenure > 0 || !cluster.rules.owns_what_it_says => self.tell(cluster, at, next.reply),
                        None => {}
                    }
                }
                self.tell(cluster, at, under_way.step.reply);
            }
            Some(Outcome::Fenced) if is_current => {
                engine.leave();
                engine.held = Held::Fenced;
            }
            Some(Outcome::Conflict) if is_current => self.forget(at),
            Some(_) | None => {}
        }
    }

    /// What was decided is not (surely) stored: the entity reads anew.
    fn forget(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        engine.mind = None;
        engine.waiting = None;
        engine.alarm = None;
    }

    /// The outcome stays unknown; the commit may still be on its way.
    pub fn lose_outcome(&mut self, at: usize) {
        let engine = &mut self.engines[at];
        let Some(under_way) = engine.under_way.take() else { return };
        engine.is_slow = false;
        let is_current = engine.epoch() == Some(under_way.epoch);
        if under_way.outcome.is_none()
            && let Some(commit) = commit_of(&under_way)
        {
            self.store.swamp.push((Some(at as u8), commit));
        }
        if is_current {
            self.forget(at);
        }
    }

    /// The process is gone, and with it all it knew.
    pub fn crash(&mut self, at: usize) {
        let engine = std::mem::replace(&mut self.engines[at], Engine::down(0));
        self.engines[at].wall = engine.wall;
        for (writer, _) in &mut self.store.swamp {
            writer.take_if(|writer| *writer == at as u8);
        }
        if let Some(under_way) = engine.under_way.filter(|under_way| under_way.outcome.is_none())
            && let Some(commit) = commit_of(&under_way)
        {
            self.store.swamp.push((None, commit));
        }
    }

    /// An answer of that engine reaches whoever asked.
    fn tell(&mut self, cluster: &Cluster, at: usize, reply: Option<(u8, Answer)>) {
        // It believes that it owns the shard, and so do the others, or did a moment ago.
        let is_replaced = self.engines[at].serves() && self.engines[at].epoch() != Some(self.store.epoch);
        self.answer(cluster, reply, if is_replaced { Breach::AnsweredByReplaced } else { Breach::AnswerDiffers });
    }

    /// It goes on, and says what it was about to say.
    pub fn resume(&mut self, cluster: &Cluster, at: usize) {
        let engine = &mut self.engines[at];
        engine.is_paused = false;
        if engine.under_way.is_none()
            && let Some(step) = engine.waiting.take()
        {
            self.answer(cluster, step.reply, Breach::AnsweredLate);
        }
    }

    /// Later answers find nobody. What it is called when an answer is not that of what was applied depends on who gives it.
    fn answer(&mut self, cluster: &Cluster, reply: Option<(u8, Answer)>, differs: Breach) {
        let Some((request, answer)) = reply else { return };
        let request = usize::from(request);
        if self.requests[request].told.is_some() {
            return;
        }
        self.requests[request].told = Some(answer);
        if self.witness.is_applied_otherwise(request, answer) {
            return self.witness.note(differs);
        }
        self.witness.hear(cluster, &self.requests, request, answer);
    }

    fn note(&mut self, cluster: &Cluster, commit: &Commit) {
        if commit.epoch < self.store.epoch {
            self.witness.note(Breach::OldEpochWrites);
        }
        let (entry, talk) = (&commit.entry, &self.store.talk);
        match entry.body {
            Body::Claimed { agent, claim } => self.witness.claimed(claim, agent),
            Body::GivenBack { named } if named != talk.claim => self.witness.note(Breach::OldNumberCounts),
            Body::GivenBack { .. } => self.witness.released(talk.claim),
            Body::Released => {
                self.witness.released(talk.claim);
                if talk.agent_active.is_early(entry.at, RELEASE_AFTER) {
                    self.witness.note(Breach::TimerEarly);
                }
            }
            Body::Said => {}
            Body::Closed => {
                if talk.customer_active.is_early(entry.at, CLOSE_AFTER) {
                    self.witness.note(Breach::TimerEarly);
                }
                self.witness.closed(&self.requests, entry.at);
            }
        }
        // A body that answers a request is that request's, remembered or not.
        if let Some(request) = self.request_of(cluster, entry) {
            let answer = match entry.body {
                Body::Claimed { claim, .. } => Answer::Claimed(claim),
                Body::GivenBack { .. } | Body::Released | Body::Said | Body::Closed => Answer::Done,
            };
            self.witness.applied(request, answer, entry);
        }
    }

    fn request_of(&self, cluster: &Cluster, entry: &Entry) -> Option<usize> {
        if let Some((request, _)) = entry.request {
            return Some(usize::from(request));
        }
        cluster.wishes.iter().position(|wish| match (wish, entry.body) {
            (Wish::Claim(by), Body::Claimed { agent, .. }) => *by == agent,
            (Wish::Say, Body::Said) => true,
            (Wish::Release(..), Body::GivenBack { .. }) => true,
            _ => false,
        })
    }
}

/// What is sent to the store.
#[must_use]
pub fn commit_of(under_way: &UnderWay) -> Option<Commit> {
    let entry = under_way.step.entry?;
    Some(Commit { epoch: under_way.epoch, expected: under_way.expected, entry })
}
