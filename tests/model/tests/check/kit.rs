//! Checks a cluster, and says what was found.

use std::num::NonZero;
use std::time::Instant;

use jono_model::action::Action;
use jono_model::rules::{Cluster, Faults, REAL, Rules};
use jono_model::system::System;
use jono_model::talk::Wish;
use stateright::{Checker, HasDiscoveries, Model, Path};

/// Two agents want one conversation.
pub fn claims(faults: Faults) -> Cluster {
    Cluster { rules: REAL, wishes: vec![Wish::Claim(0), Wish::Claim(1)], closes: false, faults, prefers_newcomers: false }
}

/// One agent claims, gives back, and claims again without waiting.
pub fn again(faults: Faults) -> Cluster {
    Cluster { wishes: vec![Wish::Claim(0), Wish::Release(0, 0), Wish::Claim(0)], ..claims(faults) }
}

/// An agent claims, the customer writes, both clocks run.
pub fn timers(faults: Faults) -> Cluster {
    Cluster { wishes: vec![Wish::Claim(0), Wish::Say], closes: true, ..claims(faults) }
}

/// The same under other rules.
pub fn under(rules: Rules, cluster: Cluster) -> Cluster {
    Cluster { rules, ..cluster }
}

/// How it came to something.
pub type Way = Path<System, Action>;

/// Visits every state, unless a promise is not kept; returns what was seen, with the way there.
pub fn explore(name: &str, cluster: Cluster) -> Vec<(&'static str, Way)> {
    check(name, cluster, HasDiscoveries::AnyFailures).discoveries().into_iter().collect()
}

/// Visits states until this is seen.
pub fn find(name: &str, cluster: Cluster, property: &'static str) -> Option<Way> {
    check(name, cluster, HasDiscoveries::AllOf([property].into())).discovery(property)
}

fn check(name: &str, cluster: Cluster, until: HasDiscoveries) -> impl Checker<Cluster> + use<> {
    let (started, faults) = (Instant::now(), cluster.faults);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let checker = cluster.checker().threads(threads).finish_when(until).spawn_bfs().join();
    let (unique, seconds) = (checker.unique_state_count(), started.elapsed().as_secs_f32());
    println!("{name}: {unique} states, {} steps deep, {seconds:.1} s; {faults:?}", checker.max_depth());
    checker
}

/// Nothing goes wrong.
pub const NONE: Faults = Faults { in_all: 0, crashes: 0, pauses: 0, clock_steps: 0, losses: 0, delays: 0, duplicates: 0 };
/// One fault, of any kind. A clock that is set is seen by a process that is started afterwards, so that takes two.
pub const ONE: Faults = Faults { in_all: 1, crashes: 1, pauses: 1, clock_steps: 1, losses: 1, delays: 1, duplicates: 1 };

/// Prints a way, if `JONO_MODEL_TRACE` is set.
pub fn trace(name: &str, way: Way) {
    if std::env::var_os("JONO_MODEL_TRACE").is_some() {
        println!("{name}");
        way.into_vec().into_iter().filter_map(|(_, action)| action).for_each(|action| println!("    {action:?}"));
    }
}
