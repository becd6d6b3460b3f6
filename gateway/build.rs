//! Tells the program which revision it is built from, where git is there to ask.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let version = env!("CARGO_PKG_VERSION");
    let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return println!("cargo:rustc-env=JONO_VERSION={version}");
    };
    println!("cargo:rustc-env=JONO_VERSION={version} ({revision})");
    // Moves with every commit and every checkout. A path that is not there would run this every time.
    let log = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|log| Path::new(log).exists()) {
        println!("cargo:rerun-if-changed={log}");
    }
}
