//! `jono-load run` as a program, against servers that keep their promises, break one of them, stand still, or are not there.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fake::{Broken, Fake, Faults, QUEUE, SITE, TOKENS};
use jono_loadtest::report::Report;
use jono_loadtest::self_test::{Stall, StallingServer};
use tokio::task::LocalSet;

/// Short; and on a machine that does much else the generator may be late, which is not what these tests are about.
const SCENARIO: &str = r#"
patience_s = 3
[population]
conversations = 3
idle = 2
agents = 1
[messages]
agent_percent = 40
note_percent = 20
[honesty]
send_lag_p99_ms = 60000
clock_ms = 60000
[[phase]]
kind = "steady"
seconds = 1.2
messages_per_second = 40
"#;

fn place(name: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{name}"));
    std::fs::create_dir_all(&place).unwrap();
    place
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Plays a scenario at a URL; the report, if one was written.
fn play(name: &str, scenario: &str, url: &str, more: &[&str]) -> (Output, Option<Report>) {
    let place = place(name);
    let file = place.join("test.toml");
    std::fs::write(&file, scenario).unwrap();
    let _ = std::fs::remove_file(place.join("test.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_jono-load"));
    command.args(["run", "--quiet", "--url", url]).args(["--set", "name=test"]).arg("--out").arg(&place).args(more).arg(&file);
    let output = command.output().unwrap();
    let report = Report::read(&place.join("test.json")).ok();
    (output, report)
}

fn against_fake(name: &str, faults: Faults, scenario: &str, more: &[&str]) -> (Output, Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (name, scenario) = (name.to_owned(), scenario.to_owned());
    let site = format!("target.site={SITE}");
    let queue = format!("target.queue={QUEUE}");
    let tokens = format!("target.tokens=[\"{}\",\"{}\"]", TOKENS[0], TOKENS[1]);
    let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
    let (output, report) = LocalSet::new().block_on(&runtime, async move {
        let fake = Fake::start(faults).await;
        let url = fake.url.clone();
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["--set", &site, "--set", &queue, "--set", &tokens];
            arguments.extend(more.iter().map(String::as_str));
            play(&name, &scenario, &url, &arguments)
        })
        .await
        .unwrap()
    });
    let report = report.unwrap_or_else(|| panic!("no report: {}", said(&output)));
    (output, report)
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let (output, report) = against_fake("good", Faults::default(), SCENARIO, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let numbers = &report.total.counts.numbers;
    assert!(numbers.intended > 10 && numbers.delivered == numbers.intended && numbers.notes > 0, "{numbers:?}");
    assert_eq!((numbers.acknowledged, numbers.sent), (numbers.intended, numbers.intended));
    assert!(report.verdict.passed && report.wrong.is_clean());
    for name in ["acknowledged", "delivered", "send_lag", "connect"] {
        let times = &report.total.times[name];
        assert!(times.count > 0 && times.p50_ms <= times.p99_99_ms && times.p99_99_ms <= times.max_ms, "{name}: {times:?}");
    }
    assert_eq!(report.footprint.users, 6);
    assert!(report.series.iter().map(|second| second.delivered).sum::<u64>() <= numbers.delivered);
}

#[test]
fn results_are_complete_and_hold_no_credentials() {
    let (output, report) = against_fake("results", Faults::default(), SCENARIO, &[]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.trim_end().ends_with("test.html"), "{shown}");
    let read = |ending: &str| std::fs::read_to_string(place("results").join(format!("test.{ending}"))).unwrap();
    assert_eq!(Report::parse(&report.to_json()).unwrap(), report, "the form must be read back as it was written");
    let (json, html, log) = (read("json"), read("html"), read("hlog"));
    for text in [&json, &html, &log, &shown] {
        assert!(!text.contains(TOKENS[0]) && !text.contains("jat_"), "a credential in a result");
    }
    assert!(html.contains("<svg") && html.contains("prefers-color-scheme: dark") && html.contains("Passed"));
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://") && !html.contains("url("));
    assert!(log.contains("Tag=acknowledged,") && log.contains("Tag=delivered,"));
    assert!(Report::parse(&json.replace("\"format\": 1", "\"format\": 99")).is_err());
}

/// The fault, what share agents write (so that it meets a message of the other side), and which count must find it.
const PLANTED: [(Broken, u32, &str); 8] = [
    (Broken::LoseForAgents, 0, "lost"),
    (Broken::LoseForCustomer, 100, "lost"),
    (Broken::NeverStored, 50, "lost"),
    (Broken::ShowTwice, 50, "repeated"),
    (Broken::StoreTwice, 50, "repeated"),
    (Broken::Overtake, 0, "disorder"),
    (Broken::ShowToStranger, 50, "events_foreign"),
    (Broken::OtherText, 50, "altered"),
];

#[test]
fn every_planted_fault_is_found_and_is_exit_code_one() {
    for (broken, agent_percent, count) in PLANTED {
        let faults = Faults { broken, at: 10, ..Faults::default() };
        let share = format!("messages.agent_percent={agent_percent}");
        let more = ["--set", "patience_s=0.5", "--set", &share];
        let (output, report) = against_fake(&format!("{broken:?}"), faults, SCENARIO, &more);
        assert_eq!(output.status.code(), Some(1), "{broken:?}: {}", said(&output));
        let found = report.wrong.all().into_iter().find(|(name, _)| *name == count).unwrap();
        assert!(found.1 >= 1, "{broken:?}: {:?}", report.wrong);
        if count == "lost" {
            assert!(report.total.times["delivered"].max_ms >= 500.0, "{broken:?}: what never came is as late as the end");
        }
        assert!(!report.verdict.passed && !report.verdict.reasons.is_empty());
    }
}

#[test]
fn a_note_that_a_customer_sees_is_wrong() {
    let faults = Faults { broken: Broken::LeakNotes, at: 1, ..Faults::default() };
    let (output, report) = against_fake("leak", faults, SCENARIO, &["--set", "messages.note_percent=100"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(report.wrong.events_foreign > 0, "{:?}", report.wrong);
}

#[test]
fn connections_that_fall_come_back_and_nothing_is_lost() {
    let faults = Faults { kill_every: Some(40), ..Faults::default() };
    let (output, report) = against_fake("falls", faults, SCENARIO, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let numbers = &report.total.counts.numbers;
    assert!(numbers.disconnects > 0 && numbers.resumed > 0, "{numbers:?}");
    assert!(report.total.times["resume"].count > 0);
}

#[test]
fn a_reconnect_storm_is_measured() {
    let storm = SCENARIO.replace("kind = \"steady\"", "kind = \"reconnect_storm\"\nwithin_ms = 200");
    let (output, report) = against_fake("storm", Faults::default(), &storm, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((report.total.counts.numbers.cut, report.total.times["resume"].count), (5, 5));
}

#[test]
fn a_gap_that_is_admitted_is_counted_and_no_loss() {
    let storm = SCENARIO.replace("kind = \"steady\"", "kind = \"reconnect_storm\"\nwithin_ms = 200");
    let faults = Faults { gaps: true, ..Faults::default() };
    let (output, report) = against_fake("gaps", faults, &storm, &[]);
    assert!(report.total.counts.numbers.gaps_admitted > 0, "{:?}", report.total.counts);
    assert_eq!(report.wrong.lost, 0, "{}", said(&output));
}

#[test]
fn visitors_come_wait_talk_and_go() {
    let visits = SCENARIO.replace("messages_per_second = 40", "visitors_per_second = 10")
        + "[visits]\nturns = 4\nthink_ms = 10\npick_ms = 5\n";
    let (output, report) = against_fake("visits", Faults::default(), &visits, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let numbers = &report.total.counts.numbers;
    assert!(numbers.visitors > 2 && numbers.visits > 0 && numbers.picked >= numbers.visits, "{numbers:?}");
    assert!(report.total.times["wait"].count > 0 && report.total.times["claim"].count > 0);
}

#[test]
fn a_missed_objective_is_one_and_a_late_generator_is_three() {
    let slo = "[[slo]]\nmetric = \"delivered\"\nmax_ms = 0\n";
    let (output, report) = against_fake("slo", Faults::default(), &format!("{SCENARIO}{slo}"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!report.slos[0].held && report.verdict.valid);
    // No generator is never late at all.
    let (output, report) = against_fake("late", Faults::default(), SCENARIO, &["--set", "honesty.send_lag_p99_ms=0"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(!report.verdict.valid && !report.honesty.problems.is_empty());
}

#[test]
fn workers_are_one_run() {
    let server = StallingServer::start(Stall { stands_ms: 0.0, every_ms: 1_000.0 }).unwrap();
    let scenario = "[target]\nname = \"echo\"\n[population]\nconversations = 8\n[honesty]\nsend_lag_p99_ms = 60000\n\
                    [messages]\narrivals = \"fixed\"\n[[phase]]\nkind = \"steady\"\nseconds = 1\nmessages_per_second = 200\n";
    let url = format!("ws://{}/", server.address());
    let (output, report) = play("workers", scenario, &url, &["--workers", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = report.unwrap();
    assert_eq!((report.honesty.workers, report.footprint.users), (3, 8));
    assert_eq!(report.total.counts.numbers.intended, 200, "three processes share the arrivals of one");
    assert_eq!(report.total.times["delivered"].count, 200);
}

#[test]
fn what_cannot_run_says_so() {
    let (output, _) = play("typo", "[population]\nidel = 3\n", "ws://127.0.0.1:9/", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("line 2") && said(&output).contains("did you mean \"idle\""), "{}", said(&output));
    let (output, _) = play("nobody", SCENARIO, "ws://127.0.0.1:9/v1/ws", &[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}

#[test]
fn who_interrupts_a_run_is_obeyed_at_once_and_in_good_order() {
    let server = StallingServer::start(Stall { stands_ms: 1.0, every_ms: 1_000.0 }).unwrap();
    let file = place("interrupted").join("test.toml");
    std::fs::write(&file, SCENARIO.replace("note_percent = 20", "").replace("seconds = 1.2", "seconds = 3600")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jono-load"));
    command.args(["run", "--target", "echo", "--url", &format!("ws://{}/", server.address())]).arg(&file);
    let mut run = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("connect:"));
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(lines.any(|line| line.unwrap().contains("interrupted")));
    assert_eq!(run.wait().unwrap().code(), Some(130));
}

#[test]
fn comparing_says_what_is_better_and_what_makes_it_doubtful() {
    let (_, _) = against_fake("compared", Faults::default(), SCENARIO, &["--set", "target.durability=memory"]);
    let a = place("compared").join("test.json");
    let compare = |a: &Path, b: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_jono-load")).arg("compare").args([a, b]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = compare(&a, &a);
    assert!(
        code == Some(0) && text.contains("delivered p99 ms") && text.contains("alike") && !text.contains("careful"),
        "{text}"
    );
    let mut other = Report::read(&a).unwrap();
    other.machine = "another".to_owned();
    other.target.durability.clear();
    other.total.delivered_per_second *= 2.0;
    let b = place("compared").join("other.json");
    std::fs::write(&b, other.to_json()).unwrap();
    let (_, text) = compare(&a, &b);
    assert!(text.contains("better") && text.contains("careful: the machine differs"), "{text}");
    let (_, text) = compare(&b, &b);
    assert!(text.contains("careful: the durability class of neither is known"), "{text}");
}

#[test]
fn a_server_that_stands_still_is_not_hidden() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jono-load"));
    command.args(["self-test", "--stands", "500", "--every", "1000", "--periods", "2", "--percentile", "80", "--quiet"]);
    let output = command.output().unwrap();
    let text = said(&output);
    let found = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().rev().nth(3).unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    // A busy machine makes times longer, never shorter: how near they are is for the self-test proper to say.
    let truth = found("by arithmetic");
    assert!((truth - 300.0).abs() < 1e-9 && (found("simulated") - truth).abs() < 2.0, "{text}");
    assert!(found("measured, open, from the intended time") > truth * 0.9, "{text}");
}
