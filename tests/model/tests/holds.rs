//! temp
use std::time::Instant;
use jono_model::rules::*;
use jono_model::talk::Wish;
use stateright::{Checker, Model, HasDiscoveries};

#[test]
fn explore() {
    let get = |name: &str, default: u8| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let wishes = match get("W", 0) {
        0 => vec![Wish::Claim(0), Wish::Claim(1), Wish::Say],
        3 => vec![Wish::Claim(0), Wish::Claim(1)],
        4 => vec![Wish::Claim(0), Wish::Say],
        1 => vec![Wish::Claim(0), Wish::Release(0, 0), Wish::Claim(0)],
        _ => vec![Wish::Claim(0)],
    };
    let faults = Faults { in_all: get("A", 9), crashes: get("C", 1), pauses: get("P", 0), clock_steps: get("S", 0), losses: get("L", 0), duplicates: get("D", 0) };
    let model = Cluster { rules: Rules { removes_only_silent: get("RS", 0) == 1, ..REAL }, wishes, closes: get("X", 1) == 1, faults, prefers_newcomers: get("N", 0) == 1 };
    let started = Instant::now();
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).target_state_count(get("M", 200) as usize * 1_000_000).spawn_bfs().join();
    println!("{faults:?} {} unique, {} states, depth {} in {:?}", checker.unique_state_count(), checker.state_count(), checker.max_depth(), started.elapsed());
    for (name, path) in checker.discoveries() {
        if name.starts_with('G') {
            println!("{name}");
            for (_, action) in path.into_vec() { println!("    {action:?}"); }
        } else { println!("{name}: {}", path.into_vec().len()); }
    }
}
