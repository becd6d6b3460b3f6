//! The whole replay against a fake server: it passes while promises are kept, and tells which one was broken.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::time::Duration;

use fake::{Broken, Fake, Faults, SITE, TOKENS};
use jono_loadtest::corpus::{Script, Speaker, Turn};
use jono_loadtest::replay::{Report, Settings, run};
use tokio::task::LocalSet;

const CONVERSATIONS: usize = 24;

fn script(number: usize) -> Script {
    use Speaker::{Agent, Customer};
    let speakers = [Customer, Customer, Agent(0), Customer, Agent(1), Agent(1), Customer, Agent(2), Agent(0), Customer];
    let turn = |(turn, speaker): (usize, &Speaker)| {
        // The same text twice in a row must not look like a message that was doubled.
        let text = if turn > 7 { "ok".to_owned() } else { format!("{number}/{turn} \u{8}ä\t\"x\"") };
        Turn { at_s: turn as f64, speaker: *speaker, text }
    };
    let turns = speakers.iter().enumerate().map(turn).collect();
    Script { id: format!("script-{number}"), source: "test".into(), start_s: number as f64, turns }
}

fn settings(fake: &Fake) -> Settings {
    Settings {
        urls: vec![fake.url.clone()],
        speed: 0.0,
        concurrency: 8,
        agents: 4,
        site: SITE.to_owned(),
        queue: None,
        tokens: TOKENS.map(str::to_owned).to_vec(),
        seed: 7,
        drop_percent: 20,
        patience: Duration::from_millis(500),
        server: Vec::new(),
        kill_every: None,
        progress: false,
    }
}

fn replay(faults: Faults) -> Report {
    replay_with(faults, |settings| settings)
}

fn replay_with(faults: Faults, change: impl FnOnce(Settings) -> Settings) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let fake = Fake::start(faults).await;
        let scripts = (0..CONVERSATIONS).map(script).collect();
        run(change(settings(&fake)), scripts).await.unwrap()
    })
}

#[track_caller]
fn passes(report: &Report) {
    assert!(report.passed, "{report}");
    assert_eq!(report.count("conversations"), Some(CONVERSATIONS as u64));
    assert_eq!(report.count("messages"), Some(10 * CONVERSATIONS as u64));
}

#[track_caller]
fn finds(broken: Broken, any_of: &[&str]) {
    // Message 100 is in the midst of things.
    let report = replay(Faults { broken, at: 100, cut_every: (broken == Broken::IgnoreKeys).then_some(10), ..Faults::default() });
    assert!(!report.passed && report.differences_count > 0, "{broken:?}: {report}");
    let checks: Vec<_> = report.differences.iter().map(|difference| difference.check).collect();
    assert!(checks.iter().any(|check| any_of.contains(check)), "{broken:?}: {checks:?}\n{report}");
    assert!(report.to_json()["differences"][0]["expected"].is_string());
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let report = replay(Faults::default());
    passes(&report);
    for name in ["handovers", "releases", "notes", "drops_on_purpose", "views_checked"] {
        assert!(report.count(name) > Some(0), "{name}: {report}");
    }
    assert_eq!(report.count("requests_repeated_by_key").map(|repeats| repeats < 20), Some(true), "{report}");
}

#[test]
fn answers_that_never_come_are_asked_for_again_and_nothing_happens_twice() {
    let report = replay(Faults { cut_every: Some(7), ..Faults::default() });
    passes(&report);
    assert!(report.count("requests_repeated_by_key") > Some(20), "{report}");
}

#[test]
fn kills_are_survived() {
    let report = replay(Faults { kill_every: Some(120), cut_every: Some(13), ..Faults::default() });
    passes(&report);
    assert!(report.count("reconnects") > Some(30), "{report}");
}

#[test]
fn a_busy_server_is_waited_for() {
    let report = replay(Faults { busy_every: Some(5), ..Faults::default() });
    passes(&report);
    assert!(report.count("requests_postponed") > Some(20), "{report}");
}

#[test]
fn announced_gaps_are_read_from_the_history() {
    let report = replay(Faults { gaps: true, kill_every: Some(100), ..Faults::default() });
    passes(&report);
    assert!(report.count("reconnects_with_a_gap") > Some(10), "{report}");
}

#[test]
fn one_agent_session_and_one_conversation_at_a_time_will_do() {
    passes(&replay_with(Faults::default(), |settings| Settings { agents: 1, concurrency: 1, ..settings }));
}

#[test]
fn pauses_are_kept() {
    let report = replay_with(Faults::default(), |settings| Settings { speed: 200.0, ..settings });
    passes(&report);
    assert!(report.to_json()["seconds"].as_f64() > Some(0.1), "{report}");
}

#[test]
fn a_lost_event_is_found() {
    finds(Broken::LoseForCustomer, &["hole", "missing", "delivery"]);
    finds(Broken::LoseForAgents, &["hole", "missing", "delivery"]);
}

#[test]
fn a_message_shown_or_stored_twice_is_found() {
    finds(Broken::ShowTwice, &["twice"]);
    finds(Broken::StoreTwice, &["done"]);
}

#[test]
fn a_message_stored_otherwise_or_never_is_found() {
    finds(Broken::OtherText, &["done"]);
    finds(Broken::NeverStored, &["done"]);
}

#[test]
fn notes_shown_to_customers_are_found() {
    finds(Broken::LeakNotes, &["visibility"]);
}

#[test]
fn keys_that_are_ignored_are_found() {
    finds(Broken::IgnoreKeys, &["done", "claims", "followed", "waiting", "refused"]);
}

#[test]
fn a_history_with_a_hole_is_found() {
    finds(Broken::ForgetHistory, &["history", "numbers"]);
}

#[test]
fn a_conversation_left_open_is_found() {
    let report = replay(Faults { never_close: true, ..Faults::default() });
    assert!(!report.passed);
    assert!(report.differences.iter().all(|difference| difference.check == "lists"), "{report}");
}

#[test]
fn what_cannot_run_says_why() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = |change: fn(Settings) -> Settings| {
        LocalSet::new().block_on(&runtime, async {
            let fake = Fake::start(Faults::default()).await;
            run(change(settings(&fake)), vec![script(0)]).await.unwrap_err().to_string()
        })
    };
    // Nobody listens on the discard port.
    let nobody = refused(|settings| Settings { urls: vec!["ws://127.0.0.1:9/v1/ws".into()], ..settings });
    assert!(nobody.contains("refused") && nobody.contains("jono serve --demo"), "{nobody}");
    assert!(refused(|settings| Settings { site: "other".into(), ..settings }).contains("unauthorized"));
    assert!(refused(|settings| Settings { tokens: vec!["wrong".into()], ..settings }).contains("unauthorized"));
    assert!(refused(|settings| Settings { queue: Some("Sales".into()), ..settings }).contains("Help (q_1)"));
    assert!(refused(|settings| Settings { queue: Some("Nobody".into()), ..settings }).contains("served by all"));
    assert!(refused(|settings| Settings { tokens: vec![TOKENS[0].into(), TOKENS[0].into()], ..settings }).contains("same"));
    assert!(refused(|settings| Settings { server: vec!["/nowhere/jono".into()], ..settings }).contains("cannot start"));
}
