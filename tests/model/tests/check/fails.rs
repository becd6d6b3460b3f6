//! Each promise can be broken: a rule is taken away, and the checker finds a way to break what rests on it. `JONO_MODEL_TRACE=1`
//! with `--nocapture` prints the shortest way.

use super::kit::{NONE, again, claims, explore, timers, trace, under};
use jono_model::rules::{Cluster, Faults, REAL, Rules};

/// Some promise is broken, and it is one of these.
fn breaks(name: &str, cluster: Cluster, promises: &[&str]) {
    let broken: Vec<_> = explore(name, cluster).into_iter().filter(|(property, _)| property.starts_with('G')).collect();
    assert!(!broken.is_empty(), "{name}: nobody notices");
    for (property, way) in broken {
        trace(property, way);
        assert!(promises.contains(&property), "{name} breaks: {property}");
    }
}

fn faults(in_all: u8, crashes: u8) -> Faults {
    Faults { in_all, crashes, ..NONE }
}

#[test]
fn without_fencing_old_epochs_write() {
    let rules = Rules { fences: false, ..REAL };
    breaks("no fencing", under(rules, claims(faults(1, 1))), &["G5: nothing is written under an old epoch"]);
}

#[test]
fn who_stops_later_than_others_wait_is_taken_for_dead_alive() {
    let rules = Rules { stop_after: 5, ..REAL };
    let pause = Faults { in_all: 1, pauses: 1, ..NONE };
    breaks("stops late", under(rules, claims(pause)), &["G6: who is taken for dead has stopped"]);
}

#[test]
fn an_answer_before_the_commit_is_of_nothing() {
    let rules = Rules { confirms_first: false, ..REAL };
    breaks("answers first", under(rules, claims(NONE)), &["G1 G2: an answer rests on what is stored"]);
}

#[test]
fn without_numbers_an_old_claim_ends_a_new_one() {
    let rules = Rules { compares_numbers: false, ..REAL };
    breaks("no numbers", under(rules, again(NONE)), &["G6: an old claim's number moves nothing"]);
}

#[test]
fn an_alarm_that_is_not_looked_at_again_closes_on_a_customer() {
    let rules = Rules { looks_at_deadline: false, ..REAL };
    let early = ["G7: timers are never early", "G8: a customer who was heard is not closed upon"];
    breaks("a stale deadline", under(rules, timers(NONE)), &early);
}

#[test]
fn what_is_not_remembered_is_done_twice() {
    let rules = Rules { remembers: false, ..REAL };
    let loss = Faults { in_all: 1, losses: 1, ..NONE };
    let twice = ["G2: a request is applied at most once", "G2: what was applied is answered so"];
    breaks("forgets answers", under(rules, timers(loss)), &twice);
}

#[test]
fn a_clock_that_follows_the_wall_fires_early() {
    let rules = Rules { is_steady: false, ..REAL };
    let step = Faults { in_all: 1, clock_steps: 1, ..NONE };
    let early = [
        "G6: who is taken for dead has stopped",
        "G7: timers are never early",
        "G8: a customer who was heard is not closed upon",
    ];
    breaks("follows the wall", under(rules, timers(step)), &early);
}

#[test]
fn deadlines_that_are_not_brought_back_never_fire() {
    let rules = Rules { recovers_deadlines: false, ..REAL };
    let silent = ["G7: what is due fires while it is served"];
    breaks("deadlines stay behind", under(rules, timers(faults(1, 1))), &silent);
}

#[test]
fn an_answer_that_waited_out_its_tenure_contradicts_what_is_so() {
    let rules = Rules { owns_what_it_says: false, ..REAL };
    let pause = Faults { in_all: 1, pauses: 1, ..NONE };
    breaks("says what it does not own", under(rules, claims(pause)), &["G2: what was applied is answered so"]);
}

#[test]
fn what_nobody_takes_over_is_not_served() {
    let rules = Rules { takes_over: false, ..REAL };
    breaks("nobody takes over", under(rules, claims(faults(1, 1))), &["G13: a shard is served again in time"]);
}
