//! The invariants of docs/architecture.md that a machine can check.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The kill points and rules that tests turn on.
const POINTS: &str = "jono-points";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace").to_path_buf()
}

fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} holds sources");
    let read = |path: PathBuf| (path.strip_prefix(root()).unwrap().display().to_string(), fs::read_to_string(&path).unwrap());
    found.into_iter().map(read).collect()
}

/// Tests may name what they play the part of.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/testing/")
}

/// The dependencies of a package, by the section that names them.
fn dependencies(folder: &str) -> BTreeMap<String, Vec<String>> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let mut section = String::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies") {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                found.entry(section.clone()).or_default().push(name.to_owned());
            }
        }
    }
    found
}

/// Of ours, but for the kill points, which are nothing in the shipped program.
fn of_ours(folder: &str) -> Vec<String> {
    let all = dependencies(folder).remove("dependencies").unwrap_or_default();
    let mut ours: Vec<String> = all.into_iter().filter(|name| name.starts_with("jono-") && name != POINTS).collect();
    ours.sort();
    ours
}

#[test]
fn crates_depend_in_one_direction() {
    let allowed: [(&str, &[&str]); 7] = [
        ("engine/points", &[]),
        ("engine/domain", &[]),
        ("engine/store", &[]),
        ("gateway/socket", &[]),
        ("engine", &["jono-domain", "jono-store"]),
        ("gateway", &["jono-domain", "jono-engine", "jono-socket", "jono-store"]),
        ("loadtest", &[]),
    ];
    for (folder, expected) in allowed {
        assert_eq!(of_ours(folder), expected, "{folder}");
    }
}

#[test]
fn the_domain_is_pure() {
    let mut others = dependencies("engine/domain").remove("dependencies").unwrap_or_default();
    others.retain(|name| name != POINTS);
    assert_eq!(others, ["serde"]);
    for (path, text) in sources("engine/domain/src") {
        for word in ["SystemTime", "Instant", "std::fs", "std::net", "std::thread", "std::env", "HashMap", "HashSet", "println!"]
        {
            assert!(!text.contains(word) || path.contains("test"), "{path} names {word}");
        }
    }
}

#[test]
fn the_engine_knows_no_web() {
    for folder in ["engine", "engine/store"] {
        for name in dependencies(folder).into_values().flatten() {
            let web = ["actix-web", "actix-http", "serde_json", "tokio-tungstenite", "schemars"];
            assert!(!web.contains(&name.as_str()), "{folder} depends on {name}");
        }
    }
}

/// Only tests turn the kill points on: no dependency of any package does, so that whatever is built together with the shipped
/// program leaves it as it is.
#[test]
fn nothing_arms_the_shipped_program() {
    let packages = ["engine", "engine/domain", "engine/points", "engine/store", "gateway", "gateway/socket"];
    for folder in packages.into_iter().chain(["loadtest", "benches", "tests", "tests/model", "tests/redis", "tests/sim", "."]) {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let mut section = "";
        for line in manifest.lines() {
            section = line.strip_prefix('[').unwrap_or(section);
            let is_allowed = section.starts_with("features") || section.starts_with("[bin") || line.starts_with('#');
            assert!(is_allowed || !line.contains("armed"), "{folder}: {line}");
            assert!(!line.contains("default = ") || !line.contains("armed"), "{folder}: {line}");
        }
    }
    let points = dependencies("engine/points").remove("dependencies").unwrap_or_default();
    assert_eq!(points, ["rustix"], "and that one only when it is armed");
}

#[test]
fn the_gateway_decides_nothing_internal() {
    // Commands that only machines send each other cannot be built from what a client says.
    let internal = [
        "Command::Followed",
        "Command::Announce",
        "Command::Place {",
        "Command::CustomerBlocked",
        "Command::AcceptHandover",
        "Command::Hold",
        "Command::Admit",
        "Command::AdoptSettings",
        "accepted: true",
        "admitted: true",
    ];
    for (path, text) in sources("gateway/src").into_iter().filter(|(path, _)| !is_test(path)) {
        for name in internal {
            assert!(!text.contains(name), "{path} names {name}");
        }
    }
}

/// What decides in a system of several processes is told the time, and touches nothing.
#[test]
fn the_cluster_decides_purely() {
    for file in ["placement", "membership", "asked", "told", "incoming"] {
        let path = format!("engine/src/cluster/{file}.rs");
        let text = fs::read_to_string(root().join(&path)).expect("it is there");
        for word in ["Instant", "SystemTime", "tokio", "actix", "async fn", "Clock"] {
            assert!(!text.contains(word), "{path} names {word}");
        }
    }
}

/// A dependency that is named in one place can be replaced in one place.
#[test]
fn each_library_lives_in_one_room() {
    let rooms = [
        ("bincode", "engine/src/codec.rs"),
        ("fjall::", "engine/store/src/fjall_store"),
        ("crc32fast", "engine/store/src/record.rs"),
        ("redis::", "engine/store/src/redis_store"),
        ("deadpool_redis", "engine/store/src/redis_store"),
        ("argon2::", "gateway/src/auth"),
        ("hmac::", "gateway/src/auth"),
        ("sha2::", "gateway/src/auth"),
        ("prometheus_client", "gateway/src/http"),
        ("clap::", "gateway/src"),
        ("strsim", "gateway/src/config"),
        ("tokio_tungstenite", "gateway/socket/src"),
    ];
    let all = ["engine/src", "engine/domain/src", "engine/store/src", "gateway/src", "gateway/socket/src"];
    for (path, text) in all.into_iter().flat_map(sources).filter(|(path, _)| !is_test(path)) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (name, room) in rooms {
                assert!(!line.contains(name) || path.starts_with(room), "{path} names {name}, which belongs to {room}");
            }
        }
    }
}

#[test]
fn nothing_is_unsafe_and_every_crate_says_what_it_is() {
    for folder in [
        "engine",
        "engine/domain",
        "engine/points",
        "engine/store",
        "gateway",
        "gateway/socket",
        "loadtest",
        "tests",
        "tests/model",
        "tests/sim",
    ] {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder} has the workspace's lints");
        for (path, text) in sources(&format!("{folder}/src")) {
            assert!(text.starts_with("//!") || path.ends_with("tests.rs"), "{path} says what it owns");
        }
    }
}

#[test]
fn the_page_on_reliability_names_every_kill_point() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("docs/reliability.md exists");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let points: Vec<&str> = jono_points::KillPoint::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(rows, points);
}

#[test]
fn the_page_on_reliability_names_every_rule() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("docs/reliability.md exists");
    for rule in jono_points::Rule::ALL {
        assert!(page.contains(&format!("| `{rule}` |")), "the page does not say what breaks without {rule}");
    }
}

#[test]
fn the_code_map_names_every_room() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md exists");
    for folder in [
        "engine/src",
        "engine/domain/src",
        "engine/points/src",
        "engine/store/src",
        "gateway/src",
        "gateway/socket/src",
        "loadtest/src",
        "tests/model/src",
        "tests/sim/src",
    ] {
        for entry in fs::read_dir(root().join(folder)).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
            if ["lib", "main", "testing", "tests"].contains(&name.as_str()) {
                continue;
            }
            assert!(page.contains(&format!("`{name}`")), "the code map of docs/architecture.md does not name {folder}/{name}");
        }
    }
}
