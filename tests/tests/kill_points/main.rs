//! Processes that die between two lines: at every kill point of `jono_points` one is ended as `kill -9` would, comes back
//! without it, and nobody misses anything (G1, G2, G3, G6, G7, G9).
//!
//! A run whose process has not died of its point fails: a point that nothing passes shows nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jono_points::KillPoint;
use jono_tests::armed::armed_binary;
use jono_tests::server::binary;
use stage::{Doomed, Stage};
use story::{Interlude, Story};

mod judge;
mod stage;
mod story;

/// So many at a time in each test: they wait more than they compute.
const AT_ONCE: usize = 3;

/// One run: which process dies, at which pass of the point, and what else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case(Doomed, u32, Interlude);

/// The runs of a point. Passes of a process that comes back and of sessions that are resumed come first; later ones are in the
/// midst of the story.
fn cases(point: KillPoint) -> Vec<Case> {
    use KillPoint as P;
    let alone = |pass| Case(Doomed::Alone, pass, Interlude::Nothing);
    let new = |pass| Case(Doomed::New, pass, Interlude::Nothing);
    let engine = |pass| Case(Doomed::Engine, pass, Interlude::Nothing);
    let gateway = |pass| Case(Doomed::Gateway, pass, Interlude::Nothing);
    let moving = |doomed| Case(doomed, 1, Interlude::ShardsMove);
    match point {
        P::SessionOpening => vec![alone(1), gateway(2)],
        P::SessionOpened => vec![alone(2)],
        P::RequestDecoded => vec![alone(9)],
        P::AnswerReceived | P::NoticeReceived => vec![alone(1), alone(9), gateway(5)],
        P::FollowedAnew => vec![moving(Doomed::Gateway)],
        P::LetterTaken | P::StepDecided => vec![alone(12), alone(30)],
        P::DeadlineReached => vec![alone(1), engine(1)],
        P::SnapshotTaken => vec![alone(1), alone(4)],
        P::StepSubmitted | P::CommitBegun => vec![alone(12)],
        P::CommitStaged | P::CommitApplied => vec![alone(1), alone(12), alone(25), engine(9)],
        P::CommitAnswered => vec![alone(12)],
        P::CommitConfirmed => vec![alone(12), alone(25), engine(9)],
        P::ForwardDue | P::RequestForwarded => vec![alone(1), alone(5), engine(2)],
        P::TaleTold => vec![alone(9), alone(20), engine(5)],
        P::DeliveriesReady => vec![alone(15)],
        P::DeliveriesHandedOver => vec![alone(15), engine(9)],
        P::MissingRead => vec![alone(1), engine(1)],
        P::TablesCreated => vec![new(1)],
        P::ShardAcquired => vec![new(1), alone(200), engine(60)],
        P::EntityRecovered => vec![alone(4), moving(Doomed::Engine)],
        P::EngineSettled | P::StoreSynced => vec![alone(1)],
        P::MemberJoined | P::ShardAdopted | P::ShardOwned | P::OwnersTold => vec![engine(1)],
        P::ShardsSettled | P::ShardsLeft | P::LastWordsSaid => vec![engine(1)],
        P::TellingOnce | P::ToldKept => vec![engine(2)],
        P::ToldAgain => vec![moving(Doomed::Engine)],
        P::AskedAgain => vec![Case(Doomed::Gateway, 1, Interlude::OtherKilled)],
        P::EntityAnnounced => vec![engine(1)],
        P::ParcelPacked | P::ItemTaken => vec![engine(9)],
        P::ParcelSent | P::ParcelReceived => vec![engine(9), gateway(9)],
    }
}

/// Whether an entity comes to the one engine or to the other is chance: so many more conversations are begun until the doomed one
/// has died. None where it must die as it leaves.
fn encores(point: KillPoint, doomed: Doomed) -> usize {
    use KillPoint as P;
    let is_leaving = [P::ShardsSettled, P::ShardsLeft, P::LastWordsSaid].contains(&point);
    if doomed == Doomed::Engine && !is_leaving { 12 } else { 0 }
}

#[test]
fn a_process_alone_dies_at_every_point_and_nobody_misses_anything() {
    run_all(|doomed| matches!(doomed, Doomed::Alone | Doomed::New));
}

#[test]
fn a_process_among_others_dies_at_every_point_and_nobody_misses_anything() {
    run_all(|doomed| matches!(doomed, Doomed::Engine | Doomed::Gateway));
}

#[test]
fn nothing_of_it_is_in_the_shipped_program() {
    let names_in = |program: &Path| {
        let bytes = std::fs::read(program).expect("a program can be read");
        let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
        ["deliveries-handed-over", "JONO_KILL_AT", "jono_points"].map(has)
    };
    assert_eq!(names_in(armed_binary()), [true; 3], "names can be found");
    assert_eq!(names_in(&binary()), [false; 3]);
}

fn run_all(is_meant: fn(Doomed) -> bool) {
    let runs = Mutex::new(wanted().into_iter().filter(|(_, case)| is_meant(case.0)));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                loop {
                    let Some((point, case)) = runs.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
                    if catch_unwind(AssertUnwindSafe(|| run(point, case))).is_err() {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{point}: {case:?}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{failed:#?}");
}

/// All runs, or those that `JONO_TEST_KILL_POINT` wants: of one point (`name`), perhaps at another pass (`name:n`).
fn wanted() -> Vec<(KillPoint, Case)> {
    let all = KillPoint::ALL.iter().flat_map(|point| cases(*point).into_iter().map(|case| (*point, case)));
    let Ok(only) = std::env::var("JONO_TEST_KILL_POINT") else { return all.collect() };
    let (name, pass) = only.split_once(':').unwrap_or((&only, ""));
    let of_point = all.filter(|(point, _)| point.name() == name);
    let mut wanted: Vec<_> = match pass.parse() {
        Ok(pass) => of_point.map(|(point, Case(doomed, _, interlude))| (point, Case(doomed, pass, interlude))).collect(),
        Err(_) => of_point.collect(),
    };
    wanted.dedup();
    wanted
}

fn run(point: KillPoint, Case(doomed, pass, interlude): Case) {
    let begun = std::time::Instant::now();
    let aim = format!("{point}:{pass}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::set(doomed, &aim).await;
        let mut story = Story::begin(stage).await;
        story.stage.arm(&aim).await;
        story.play(interlude, encores(point, doomed)).await;
        story.end().await;
        story.judge().await;
    });
    eprintln!("{doomed:?} {aim}: {} ms", begun.elapsed().as_millis());
}
