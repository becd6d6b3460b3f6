//! draft
#![cfg(feature = "armed")]
use jono_points::{Rule, break_rule};
use jono_sim::run::run;
#[test]
fn survey() {
    let from: u64 = std::env::var("FROM").map_or(0, |v| v.parse().unwrap());
    let max: u64 = std::env::var("MAX").map_or(300, |v| v.parse().unwrap());
    let only = std::env::var("ONLY").ok();
    let list: Vec<_> = Rule::ALL.iter().filter(|r| only.as_ref().is_none_or(|o| o.split(',').any(|o| o == r.name()))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|s| { for _ in 0..2 { s.spawn(|| loop {
        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Some(rule) = list.get(at) else { return };
        let began = std::time::Instant::now();
        let mut found = Vec::new();
        let mut tried = 0;
        for seed in from..from + max {
            tried += 1;
            break_rule(Some(**rule));
            let report = run(seed);
            break_rule(None);
            if let Some(v) = report.violations.first() {
                found.push((seed, v.promise, v.detail.chars().take(150).collect::<String>()));
                if found.len() == 4 { break; }
            }
        }
        println!("{rule}: {tried} seeds, {:.1} s", began.elapsed().as_secs_f64());
        for f in found { println!("    {f:?}"); }
    }); } });
}
