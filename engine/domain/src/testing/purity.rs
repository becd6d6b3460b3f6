//! The crate depends on nothing that could make two runs differ.

use std::path::Path;

/// Names that bring in a clock, the outside world, or an order that changes from run to run.
const FOREIGN: [&str; 9] =
    ["SystemTime", "Instant", "std::fs", "std::net", "std::env", "std::thread", "HashMap", "HashSet", "rand::"];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn purity() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let dependencies: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()).collect();
    // The points are nothing, unless a test switches rules off.
    assert_eq!(dependencies, ["jono-points.workspace = true", "serde.workspace = true"]);

    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 20, "the sources were found");
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("purity.rs")) {
        for name in FOREIGN {
            assert!(!text.contains(name), "{path} names {name}");
        }
    }
}
