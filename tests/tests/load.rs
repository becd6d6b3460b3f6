//! The load-test harness against the real server: the smoke scenario, with its report.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jono_tests::server::binary;
use serde_json::Value;

fn load(arguments: &[&str]) -> Output {
    let load = binary().with_file_name("jono-load");
    assert!(load.exists(), "{} is not there: `cargo build --bins` first", load.display());
    Command::new(load).args(arguments).current_dir(root()).output().expect("jono-load can be run")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_smoke_scenario_passes_and_its_report_is_whole() {
    let out = tempfile::tempdir().expect("a directory for results");
    let out_dir = out.path().to_str().expect("a plain path");
    let server = format!("{} serve --demo --no-bots --listen 127.0.0.1:0 --data {{temp}}", binary().display());
    let output = load(&["run", "loadtest/scenarios/smoke.toml", "--server", &server, "--out", out_dir]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let files: Vec<PathBuf> = std::fs::read_dir(out.path()).expect("results").flatten().map(|entry| entry.path()).collect();
    let with = |extension: &str| {
        let found = files.iter().find(|path| path.extension().is_some_and(|it| it == extension));
        std::fs::read_to_string(found.unwrap_or_else(|| panic!("no .{extension} in {files:?}"))).expect("it can be read")
    };
    let report: Value = serde_json::from_str(&with("json")).expect("JSON");
    assert_eq!(report["format"], 1, "{report:#}");
    for part in
        ["machine", "target", "scenario", "verdict", "wrong", "total", "phases", "slos", "honesty", "footprint", "processes"]
    {
        assert!(!report[part].is_null(), "the report has no `{part}`: {report:#}");
    }
    let wrong = report["wrong"].as_object().expect("counts");
    assert!(wrong.values().all(|count| count == 0), "{wrong:?}");
    assert!(report["total"]["counts"]["acknowledged"].as_u64().is_some_and(|count| count > 100), "{:#}", report["total"]);
    let page = with("html");
    assert!(page.contains("<svg") && !page.contains("<script"), "one page that needs nothing else");
    assert!(with("hlog").lines().count() > 3);
}
