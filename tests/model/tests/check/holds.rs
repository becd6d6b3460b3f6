//! As it is, the protocol keeps what it promises: every state that can be reached within the faults is visited.
//!
//! `JONO_MODEL_FAULTS` checks other bounds, for hours if they are wide: how many faults in all, then how many crashes, pauses, clock
//! steps, losses, delays, duplicates; as in `JONO_MODEL_FAULTS="2 1 1 0 0 0 0"`.

use super::kit::{NONE, ONE, again, claims, explore, find, timers, trace, under};
use jono_model::rules::{Cluster, Faults, REAL, Rules};

const FENCED: &str = "a commit is fenced";
const OUTLIVES: &str = "a claim outlives its owner";
const CLOSED: &str = "it is closed by another owner";
const STOOD_STILL: &str = "not promised: the answer of one who stood still";
const REPLACED: &str = "not promised: the answer of one who is replaced";

/// All promises are kept; returns what is seen besides.
fn keeps(name: &str, cluster: Cluster) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for (property, way) in explore(name, cluster) {
        trace(property, way);
        assert!(!property.starts_with('G'), "{name}: {property}");
        seen.push(property);
    }
    seen.sort_unstable();
    seen
}

#[test]
fn two_agents_want_one_conversation() {
    assert_eq!(keeps("claims, no fault", claims(NONE)), [""; 0]);
    assert_eq!(keeps("claims, one fault", claims(ONE)), [OUTLIVES, FENCED, STOOD_STILL]);
    let moving = Cluster { prefers_newcomers: true, ..claims(ONE) };
    assert_eq!(keeps("claims, one fault, the newcomer gets the shard", moving), [OUTLIVES, FENCED, STOOD_STILL]);
    assert_eq!(keeps("claims, two crashes", claims(Faults { in_all: 2, crashes: 2, ..NONE })), [OUTLIVES]);
}

#[test]
fn an_agent_claims_again_while_it_gives_back() {
    assert_eq!(keeps("again, one fault", again(ONE)), [OUTLIVES, FENCED, STOOD_STILL]);
}

#[test]
fn a_customer_writes_while_clocks_run() {
    assert_eq!(keeps("timers, one fault", timers(ONE)), [OUTLIVES, FENCED, CLOSED]);
    let stepped = Faults { in_all: 2, crashes: 1, clock_steps: 1, ..NONE };
    assert_eq!(keeps("timers, a crash and a clock that is set", timers(stepped)), [OUTLIVES, CLOSED]);
}

/// One that wakes up and one that is about to remove it may both take the shard. The store refuses the writes of the one with the
/// lower epoch, but until its next beat it may answer what changes nothing. A removal that looks whether the other has beaten
/// meanwhile would end that.
#[test]
fn who_is_replaced_without_knowing_may_answer_until_its_next_beat() {
    let two = claims(Faults { in_all: 2, crashes: 1, pauses: 1, ..NONE });
    assert!(find("claims, a pause and a crash", two, REPLACED).is_some());
}

#[test]
fn wider_bounds() {
    let Ok(bounds) = std::env::var("JONO_MODEL_FAULTS") else { return };
    let bounds: Vec<u8> = bounds.split_whitespace().map(|bound| bound.parse().expect("a small number")).collect();
    let [in_all, crashes, pauses, clock_steps, losses, delays, duplicates] = bounds[..] else { panic!("seven numbers") };
    let faults = Faults { in_all, crashes, pauses, clock_steps, losses, delays, duplicates };
    for (name, cluster) in [("claims", claims(faults)), ("again", again(faults)), ("timers", timers(faults))] {
        let seen = keeps(name, cluster.clone());
        println!("    {seen:?}");
        let looks = Rules { removes_only_silent: true, ..REAL };
        let seen = keeps(&format!("{name}, if removals looked"), under(looks, cluster.clone()));
        assert!(!seen.contains(&REPLACED), "{name}: {seen:?}");
        keeps(&format!("{name}, the newcomer gets the shard"), Cluster { prefers_newcomers: true, ..cluster });
    }
}
