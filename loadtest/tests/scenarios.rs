//! The scenarios that come with the harness, and the page that explains them.

use std::path::Path;

use jono_loadtest::scenario::{self, PhaseKind};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_scenario_is_right_and_says_what_it_answers() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let read = scenario::read_file(&path, &[]);
        let scenario = read.unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        assert!(scenario.question.contains('?'), "{}", path.display());
        assert!(scenario.phases.iter().any(|phase| phase.is_measured()), "{}", path.display());
        assert_eq!(scenario.phases[0].kind, PhaseKind::Connect);
        count += 1;
    }
    assert!(count >= 6, "there are only {count}");
}

#[test]
fn the_page_names_every_scenario_and_every_key() {
    let page = std::fs::read_to_string(root().join("../docs/loadtest.md")).unwrap();
    for entry in std::fs::read_dir(root().join("scenarios")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("`{name}`")), "docs/loadtest.md does not name {name}");
    }
    let reference = scenario::reference();
    assert!(page.contains(&reference), "docs/loadtest.md is stale: put the output of `jono-load keys` between its marks");
}

#[test]
fn scenarios_within_the_page_are_right() {
    let page = std::fs::read_to_string(root().join("../docs/loadtest.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        scenario::read(block, "page", &[]).unwrap_or_else(|problems| panic!("{problems:?} in\n{block}"));
    }
}
