//! A simulation that has never failed has not shown that it can: each rule is broken in turn, and a promise must be seen to break.
#![cfg(feature = "armed")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jono_points::{Rule, break_rule};
use jono_sim::oracle::Promise;
use jono_sim::plan::{Fault, Plan};
use jono_sim::run::{Report, run_plan};
use jono_sim::timeline::{MS, Micros, SECOND};

/// So many seeds at most are played with a rule broken.
const SEEDS_MAX: u64 = 600;
/// So many where nothing is to be seen.
const SEEDS_QUIET: u64 = 40;

/// What goes wrong besides what the seed says, about once a second.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Nothing,
    ParcelsAreLost,
    AnswersAreLost,
    RedisDies,
    ProcessesDie,
    /// For longer than others wait for them.
    ProcessesStand,
    /// While what they have said is still on its way.
    ProcessesDieSlowly,
    /// What a process asks of Redis arrives when others have taken over.
    RequestsAreLate,
}

impl Trouble {
    /// At this second, to this process.
    fn begin(self, second: u64, process: usize) -> Vec<(Micros, Fault)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::ParcelsAreLost => vec![(0, Fault::LoseParcels(process, 3))],
            Self::AnswersAreLost => vec![(0, Fault::Disturb(SECOND, 20 * MS, 200))],
            Self::RedisDies => vec![(0, Fault::KillRedis(300 * MS))],
            // Not so often that nobody ever takes over.
            _ if second % 3 != 1 => Vec::new(),
            Self::ProcessesStand => vec![(0, Fault::Pause(process, 5 * SECOND))],
            Self::RequestsAreLate => vec![(0, Fault::DelayLine(process, 3 * SECOND, 5 * SECOND))],
            Self::ProcessesDie => vec![(0, Fault::Kill(process, 300 * MS))],
            Self::ProcessesDieSlowly => {
                vec![(0, Fault::FreezeRedis(600 * MS)), (400 * MS, Fault::Kill(process, 300 * MS))]
            }
        }
    }
}

/// What is seen of a broken rule.
enum Seen {
    /// The first of these promises breaks; in other runs it may be one of the others, which rest on the same.
    Broken(&'static [Promise], Trouble),
    /// Nothing: something else makes up for it.
    MadeUpFor(&'static str, Trouble),
}

fn seen(rule: Rule) -> Seen {
    use Promise::{
        Durable, Fenced, InOrder, Isolated, Listed, NoPanic, NotClosedInWindow, NotEarly, NotLate, Once, OneHolder, Presence,
        Resumed, Same, Served,
    };
    use Seen::{Broken, MadeUpFor};
    use Trouble::{
        AnswersAreLost, Nothing, ParcelsAreLost, ProcessesDie, ProcessesDieSlowly, ProcessesStand, RedisDies, RequestsAreLate,
    };
    match rule {
        Rule::CommitsAreAwaited => Broken(&[Same, Durable, InOrder, Once, OneHolder], RedisDies),
        Rule::FailedCommitsAreUndone => Broken(&[Durable, Same, InOrder, Once, OneHolder], RedisDies),
        Rule::AnswersAreRemembered => Broken(&[Once], Nothing),
        Rule::ForwardsAreRemembered => Broken(&[Once], Nothing),
        Rule::FollowersAreTold => Broken(&[InOrder], Nothing),
        Rule::HolesAreFilled => Broken(&[InOrder], ParcelsAreLost),
        Rule::EventsAreSentOnce => Broken(&[InOrder], Nothing),
        Rule::SessionsFollowAgain => Broken(&[InOrder], Nothing),
        Rule::DoubtsAreCleared => Broken(&[InOrder, Listed], AnswersAreLost),
        Rule::GapsAreNoticed => Broken(&[InOrder, Presence, Listed], ParcelsAreLost),
        Rule::ParcelsAreTakenOnce => {
            MadeUpFor("requests have keys, answers numbers, and sessions know what they told", AnswersAreLost)
        }
        Rule::EventsStayAsWritten => Broken(&[Same], Nothing),
        Rule::ResumedMeansComplete => Broken(&[Resumed], Nothing),
        Rule::FencedWritesFail => Broken(&[Fenced], RequestsAreLate),
        Rule::ClaimsExclude => Broken(&[OneHolder], Nothing),
        Rule::TenureIsAsked => MadeUpFor("the store refuses what an owner from before writes", ProcessesStand),
        Rule::DeadlinesAreKept => Broken(&[NotEarly], Nothing),
        Rule::AlarmsAreSetAgain => Broken(&[NotLate], Nothing),
        Rule::SleepersHaveAlarms => MadeUpFor("whoever looks at all conversations wakes them", ProcessesDie),
        Rule::MessagesMoveTheClose => Broken(&[NotClosedInWindow], Nothing),
        Rule::EndsAreTold => Broken(&[Listed], Nothing),
        Rule::QueuesAskAgain => {
            MadeUpFor("an owner seldom dies between an end and its telling; one run in some hundred shows it", ProcessesDieSlowly)
        }
        Rule::NewOwnersAreTold => Broken(&[Presence, Listed, InOrder], Nothing),
        Rule::TalesAreToldAgain => {
            MadeUpFor("what matters is told in full besides; one run in some hundred shows it", ParcelsAreLost)
        }
        Rule::ClosedSessionsLeave => Broken(&[Presence, NotLate], Nothing),
        Rule::SessionsDieWithTheirGateway => Broken(&[Presence, NotLate], ProcessesDie),
        Rule::StrangersFindNothing => Broken(&[Isolated], Nothing),
        Rule::TheSilentAreDead => Broken(&[Served, NotLate], ProcessesDie),
        Rule::UnansweredIsAskedAgain => MadeUpFor("clients ask again what was answered `unavailable`", Nothing),
        Rule::NothingPanics => Broken(&[NoPanic], Nothing),
    }
}

/// The seed's plan, with more of what the rule is about; `None` for those few that take as long as many others.
fn plan(seed: u64, trouble: Trouble) -> Option<Plan> {
    let mut plan = Plan::of(seed);
    if plan.busy_for > 20 * SECOND {
        return None;
    }
    let processes = plan.parts.len() as u64;
    for second in 0..plan.busy_for / SECOND {
        let process = ((second + seed) % processes) as usize;
        let at = second * SECOND + seed % 10 * 100 * MS;
        plan.faults.extend(trouble.begin(second, process).into_iter().map(|(after, fault)| (at + after, fault)));
    }
    Some(plan)
}

fn run_without(rule: Option<Rule>, plan: Plan) -> Report {
    break_rule(rule);
    let report = run_plan(plan);
    break_rule(None);
    report
}

/// The promise that breaks without the rule, if it is noticed at all.
fn check(rule: Rule) -> Option<Promise> {
    match seen(rule) {
        Seen::Broken(promises, trouble) => {
            for plan in (0..SEEDS_MAX).filter_map(|seed| plan(seed, trouble)) {
                let report = run_without(Some(rule), plan.clone());
                let Some(violation) = report.violations.first() else { continue };
                let whole = run_without(None, plan.clone());
                assert!(whole.violations.is_empty(), "{rule} is not to blame, seed {}: {:#?}", plan.seed, whole.violations);
                assert!(promises.contains(&violation.promise), "{rule}, seed {}: {violation:?}", plan.seed);
                if violation.promise == promises[0] {
                    println!("{rule}: {:?}, after {} seeds: {}", violation.promise, plan.seed + 1, violation.detail);
                    return Some(violation.promise);
                }
            }
            panic!("{rule}: nothing was noticed in {SEEDS_MAX} seeds");
        }
        Seen::MadeUpFor(by, trouble) => {
            for plan in (0..SEEDS_QUIET).filter_map(|seed| plan(seed, trouble)) {
                let report = run_without(Some(rule), plan.clone());
                if let Some(violation) = report.violations.first() {
                    println!("{rule}: {:?}, with seed {}, though mostly {by}", violation.promise, plan.seed);
                    let whole = run_without(None, plan.clone());
                    assert!(whole.violations.is_empty(), "{rule} is not to blame, seed {}: {:#?}", plan.seed, whole.violations);
                    return None;
                }
            }
            println!("{rule}: nothing, since {by}");
            None
        }
    }
}

#[test]
fn every_promise_is_seen_to_break_without_a_rule_that_keeps_it() {
    let (next, noticed) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(rule) = Rule::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let promise = check(*rule);
                    noticed.lock().expect("nobody panics here").extend(promise);
                }
            });
        }
    });
    let noticed: Vec<Promise> = noticed.into_inner().expect("nobody panicked").into_iter().collect();
    assert_eq!(noticed, Promise::ALL);
}
