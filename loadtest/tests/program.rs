//! The program itself: exit codes, and where it says what.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::path::PathBuf;
use std::process::{Command, Output};

use fake::{Broken, Fake, Faults, SITE, TOKENS};
use tokio::task::LocalSet;

const GOOD: &str = r#"{"id":"a","source":"s","start":0,"turns":[{"at":0,"from":"customer","text":"x"},{"at":3,"from":"agent:1","text":"y"},{"at":4,"from":"agent:2","text":"z"}]}"#;

fn corpus(name: &str, lines: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, lines).unwrap();
    path
}

fn jono_load(faults: Option<Faults>, name: &str, lines: &str, more: &[&str]) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jono-load"));
    command.args(["replay", "--site", SITE, "--token", TOKENS[0], "--token", TOKENS[1], "--patience", "1", "--corpus"]);
    command.arg(corpus(name, lines)).args(more);
    LocalSet::new().block_on(&runtime, async {
        match faults {
            Some(faults) => {
                let fake = Fake::start(faults).await;
                command.args(["--url", &fake.url]);
                tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
            }
            None => command.args(["--url", "ws://127.0.0.1:9/v1/ws"]).output().unwrap(),
        }
    })
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn success_is_zero_and_the_report_is_written() {
    let report = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report.json");
    let output = jono_load(Some(Faults::default()), "good", GOOD, &["--report", report.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("PASSED"));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["passed"], true);
    assert_eq!(report["counts"]["messages"], 3);
}

#[test]
fn a_difference_is_one_and_shown() {
    let faults = Faults { broken: Broken::StoreTwice, at: 2, ..Faults::default() };
    let output = jono_load(Some(faults), "doubled", GOOD, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("FAILED") && shown.contains("a conv_0 [history of an agent] done"), "{shown}");
}

#[test]
fn what_cannot_run_is_two_and_says_why() {
    let bad = jono_load(None, "bad", &format!("{GOOD}\nnonsense\n"), &[]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(said(&bad).contains("corpus line 2"), "{}", said(&bad));
    let nobody = jono_load(None, "nobody", GOOD, &[]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(said(&nobody).contains("is the server running?"), "{}", said(&nobody));
    let queue = jono_load(Some(Faults::default()), "queue", GOOD, &["--queue", "Sales"]);
    assert_eq!(queue.status.code(), Some(2));
    assert!(said(&queue).contains("no queue \"Sales\""), "{}", said(&queue));
}
