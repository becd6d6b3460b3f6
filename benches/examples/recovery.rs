//! What a start after a crash costs: fills a directory and dies as by `kill -9`, or starts on what is there, says how long
//! that took and how much of the processor, and dies the same way.
//!
//! ```text
//! recovery DIR fill 100000 [connected]     conversations that wait; their customers connected when the process dies, or not
//! recovery DIR start 100000                how many must be back
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jono_benches::town::{Town, as_visitor, conversation};
use jono_domain::message::Address;
use jono_store::{Durability, FjallStore, Store};

const USAGE: &str = "recovery DIR fill|start LIVE [connected]";
/// What `/proc` counts in.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (dir, what, live, connected) = match arguments[..] {
        [dir, what, live] => (dir, what, live, false),
        [dir, what, live, "connected"] => (dir, what, live, true),
        _ => panic!("{USAGE}"),
    };
    let live = live.parse().expect("a number of conversations");
    let system = actix_rt::System::new();
    system.block_on(async {
        match what {
            "fill" => fill(Path::new(dir), live, connected).await,
            "start" => start(Path::new(dir), live).await,
            _ => panic!("{USAGE}"),
        }
    });
    // Nothing is closed in order.
    std::process::abort();
}

fn open(dir: &Path) -> Arc<dyn Store> {
    Arc::new(FjallStore::open(dir, Durability::Second).expect("the directory is ours"))
}

async fn fill(dir: &Path, live: usize, connected: bool) {
    let town = Town::found(open(dir)).await;
    town.begin(0, live).await;
    if connected {
        for number in 0..live {
            town.follow(number as u64, as_visitor(number), Address::Conversation(conversation(number))).await;
        }
    }
}

async fn start(dir: &Path, live: usize) {
    let (began, before) = (Instant::now(), processor_seconds());
    let store = open(dir);
    let (opened, at_open) = (Instant::now(), processor_seconds());
    let town = Town::open(store).await;
    let (ready, at_ready) = (Instant::now(), processor_seconds());
    assert_eq!(town.waiting().await as usize, live, "everybody is back when the start ends");
    let (elapsed, processor) = ((ready - opened).as_secs_f64(), at_ready - at_open);
    println!(
        "store opened in {:.3} s, {:.2} s of processor; engine started in {elapsed:.3} s, {processor:.2} s of processor: {:.0}/s, {:.0} a processor second",
        (opened - began).as_secs_f64(),
        at_open - before,
        live as f64 / elapsed,
        live as f64 / processor,
    );
}

/// What this process has used so far, of all processors.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this needs /proc");
    // The name may have spaces: what follows it begins with the third field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..=12].iter().map(|field| field.parse::<f64>().expect("ticks")).sum();
    ticks / TICKS_PER_SECOND
}
