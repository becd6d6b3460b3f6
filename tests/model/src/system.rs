//! The whole: two engines, the store, whoever asks, and what a witness who sees everything has noted.

use crate::engine::{Engine, Held};
use crate::rules::{Cluster, Faults};
use crate::store::{Exchange, Owner, Store};
use crate::talk::{Answer, REQUESTS_MAX, Talk, Wish};
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
}
