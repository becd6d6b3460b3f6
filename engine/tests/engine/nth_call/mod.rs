//! One call of the store fails, each in turn: the n-th of its kind, in every way that it can, for every n that a whole scenario
//! comes to. Whichever it was: what was acknowledged is stored once and in order, repeats are answered as at first, everybody
//! agrees, and service resumes by itself.
//!
//! `NTH_CALLS=all` runs all of them on the embedded store as well, where otherwise a part is run.

mod people;
mod scenario;
mod store;

use std::collections::BTreeMap;

use jono_store::MemoryStore;
use tempfile::TempDir;

use crate::kit::run;
use people::{Ground, People};
use store::{Call, Fault, Way};

/// Of so many faults one is tried on the embedded store.
const ONE_IN_ON_DISK: usize = 16;

/// Plays the whole scenario; says how often each call was made, and whether the fault was among them.
fn play(ground: Ground, fault: Option<Fault>) -> (BTreeMap<Call, usize>, bool) {
    let mut seen = None;
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(async {
            let mut people = People::begin(ground, fault).await;
            people.play().await;
            people.end();
            seen = Some((people.trouble().counts(), people.trouble().has_struck()));
        });
    }));
    if let Err(panic) = played {
        eprintln!("with {fault:?}");
        std::panic::resume_unwind(panic);
    }
    seen.expect("it was played to its end")
}

fn faults(call: Call, count: usize) -> impl Iterator<Item = Fault> {
    (1..=count).flat_map(move |nth| call.ways().iter().map(move |way| Fault { call, nth, way: *way }))
}

fn in_memory() -> Ground {
    Ground::Memory(MemoryStore::new())
}

/// All of these calls fail, one in each run.
fn each_fails(calls: &[Call], ways: &[Way]) {
    let (counts, _) = play(in_memory(), None);
    let (mut runs, mut missed) = (0, 0);
    for call in calls {
        for fault in faults(*call, counts[call]).filter(|fault| ways.contains(&fault.way)) {
            let (_, has_struck) = play(in_memory(), Some(fault));
            runs += 1;
            missed += usize::from(!has_struck);
        }
    }
    println!("{counts:?}; {runs} runs of {calls:?} {ways:?}, {missed} of them without the call that should have failed");
    // What is committed together is a matter of chance, and with it how many commits there are.
    assert!(missed * 5 <= runs, "{missed} of {runs}");
}

#[test]
fn each_commit_is_refused_once() {
    each_fails(&[Call::Commit], &[Way::Unavailable, Way::Fenced]);
}

#[test]
fn each_commit_is_in_doubt_once() {
    each_fails(&[Call::Commit], &[Way::Lost, Way::Applied]);
}

#[test]
fn each_read_fails_once() {
    each_fails(&[Call::Load, Call::LoadLive, Call::ReadLog, Call::Scan], &[Way::Unavailable, Way::Corrupt]);
}

#[test]
fn each_other_call_fails_once() {
    each_fails(&[Call::Acquire, Call::Constant, Call::ForgetAnswers], &[Way::Unavailable, Way::Lost, Way::Applied]);
}

#[test]
fn calls_fail_on_the_embedded_store() {
    let on_disk = || Ground::Disk(TempDir::new().expect("a directory"));
    let (counts, _) = play(on_disk(), None);
    let one_in = if std::env::var("NTH_CALLS").is_ok_and(|which| which == "all") { 1 } else { ONE_IN_ON_DISK };
    let all = Call::ALL.into_iter().flat_map(|call| faults(call, counts[&call]));
    let (mut runs, mut struck) = (0, 0);
    for fault in all.step_by(one_in) {
        let (_, has_struck) = play(on_disk(), Some(fault));
        runs += 1;
        struck += usize::from(has_struck);
    }
    println!("{struck} of {runs} runs with the call that should have failed");
    assert!(struck * 5 >= runs * 4, "{struck} of {runs}");
}
