//! The engine on the embedded store, on a disk that does not sync, does not write, or is full: nobody is told that anything is
//! stored meanwhile, and everybody is served again when the disk works, without anybody doing anything.
//!
//! The disk fails inside the process: `failing_disk.c` is put before the C library. So each test runs once more, in a process of its
//! own. Time is real, since the store's pauses are.

#![cfg(target_os = "linux")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jono_domain::conversation::RowState;
use jono_domain::reply::Refusal;
use jono_engine::EngineConfig;
use jono_engine::clock::ManualClock;
use jono_store::{Durability, FjallStore, MemoryStore};
use tempfile::TempDir;

use crate::kit::*;

/// Where the process that a test starts for itself finds what fails.
const DISK: &str = "FAILING_DISK";

/// Customers who write one message after the other.
const WRITERS: u128 = 4;

/// The store tries again after 1 s, and then after 2 s: at least one attempt fails.
const OUTAGE: Duration = Duration::from_millis(2_500);

/// Between the attempts that are meant to fail and the one that succeeds there are at most a few seconds; service must be back by then.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long work goes on in between.
const WELL: Duration = Duration::from_millis(300);

/// Runs the test of this name in a process whose disk can fail, or, in there, its scenario.
fn alone(test: &str, scenario: impl AsyncFnOnce(Disk)) {
    if let Some(control) = std::env::var_os(DISK) {
        return run(scenario(Disk(control.into())));
    }
    let dir = TempDir::new().expect("a directory");
    let (source, library) = (dir.path().join("disk.c"), dir.path().join("disk.so"));
    fs::write(&source, include_str!("failing_disk.c")).expect("written");
    // Whoever links Rust has it.
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl").output();
    let compiled = compiled.expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", test, "--nocapture"]).env(DISK, dir.path()).env("LD_PRELOAD", &library);
    let output = again.output().expect("runs");
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.contains("outages"), "{shown}");
    shown.lines().filter(|line| line.contains("outages")).for_each(|line| println!("{line}"));
}

/// What fails, by the files that say so.
struct Disk(PathBuf);

impl Disk {
    fn fail(&self, what: &str, how: &str) {
        // Whole at once, as it is read.
        let unfinished = self.0.join("unfinished");
        fs::write(&unfinished, how).expect("written");
        fs::rename(unfinished, self.0.join(what)).expect("renamed");
    }

    fn mend(&self, what: &str) {
        fs::remove_file(self.0.join(what)).expect("it failed");
    }
}

/// What the writers were told.
#[derive(Default)]
struct Told {
    acknowledged: RefCell<Vec<Vec<String>>>,
    refused: Cell<u64>,
    is_over: Cell<bool>,
}

impl Told {
    fn count(&self) -> usize {
        self.acknowledged.borrow().iter().map(Vec::len).sum()
    }
}

async fn world(data: &Path) -> World {
    let store = Arc::new(FjallStore::open(data, Durability::Disk).expect("opens"));
    let clock = ManualClock::at(BEGINNING);
    let config = EngineConfig { arbiters: 2, shards: 8, clock: clock.clone(), ..EngineConfig::default() };
    let ticking = clock.clone();
    actix_rt::spawn(async move {
        let mut before = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let passed_ms = before.elapsed().as_millis() as u64;
            before += Duration::from_millis(passed_ms);
            ticking.advance(passed_ms);
        }
    });
    Plan { config, clock, records: MemoryStore::new(), store }.start().await.expect("starts")
}

/// One message after the other, each repeated under its key until it is stored.
async fn write(world: &World, number: u128, told: &Told) {
    for count in 1.. {
        let text = format!("{number}-{count}");
        loop {
            if told.is_over.get() {
                return;
            }
            match world.engine.ask(customer_of(visitor(number)), Some(text.clone()), message(talk(number), &text)).await {
                Ok(_) => break told.acknowledged.borrow_mut()[number as usize].push(text),
                Err(Refusal::Unavailable { .. } | Refusal::Busy { .. }) => told.refused.set(told.refused.get() + 1),
                Err(other) => panic!("{text}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The disk fails for a while; then it works, and everybody is served again.
async fn outage(disk: &Disk, told: &Told, what: &str, how: &str) {
    let refused = told.refused.get();
    disk.fail(what, how);
    until("somebody to be refused", || told.refused.get() > refused).await;
    // What was on its way when it began has come back by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let count = told.count();
    tokio::time::sleep(OUTAGE).await;
    assert_eq!(told.count(), count, "{what}: nothing is acknowledged");
    disk.mend(what);
    let each = told.acknowledged.borrow().iter().map(Vec::len).collect::<Vec<_>>();
    until("everybody to be served again", || {
        told.acknowledged.borrow().iter().zip(&each).all(|(acknowledged, before)| acknowledged.len() > before + 3)
    })
    .await;
    tokio::time::sleep(WELL).await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn judge(world: &World, told: &Told) {
    let acknowledged = told.acknowledged.borrow().clone();
    for (number, acknowledged) in (0..).zip(&acknowledged) {
        let mut stored = texts(&world.log(talk(number)).await);
        assert_eq!(stored.remove(0), "hello");
        // The last one was not waited for.
        assert!(stored.len() <= acknowledged.len() + 1, "{number}");
        assert!(stored.starts_with(acknowledged), "{number}: what was acknowledged is stored once, in order");
    }
    let rows = world.rows(SALES).await;
    assert_eq!(rows.len(), WRITERS as usize);
    for row in rows {
        assert_eq!(row.head, world.log(row.conversation).await.len() as u64);
        assert_eq!(row.state, if row.holder.is_some() { RowState::Active } else { RowState::Waiting });
        let holds = world.agent(BOB).await.held.contains(&(row.conversation, SALES));
        assert_eq!(holds, row.holder == Some(BOB), "{}", row.conversation);
    }
}

async fn goes_through(disk: Disk, outages: &[(&str, &str)]) {
    let data = TempDir::new().expect("a directory");
    let told = Rc::new(Told::default());
    told.acknowledged.borrow_mut().resize(WRITERS as usize, Vec::new());
    let world = Rc::new(world(data.path()).await);
    world.create(ORGANISATION, "Acme").await;
    world.put_queue(ORGANISATION, SALES, "Sales", Default::default()).await;
    world.put_agent(ORGANISATION, BOB, jono_domain::account::Role::Agent, &[SALES]).await;
    world.put_agent(ORGANISATION, ODA, jono_domain::account::Role::Operator, &[]).await;
    for number in 0..WRITERS {
        world.start(visitor(number), talk(number), SALES).await;
    }
    world.done(agent_of(BOB), claim(talk(0))).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (world, told) = (Rc::clone(&world), Rc::clone(&told));
            actix_rt::spawn(async move { write(&world, number, &told).await })
        })
        .collect();
    tokio::time::sleep(WELL).await;
    for (what, how) in outages {
        outage(&disk, &told, what, how).await;
    }
    told.is_over.set(true);
    for writer in writers {
        writer.await.expect("does not panic");
    }
    judge(&world, &told).await;
    world.engine.stop().await;
    let again = self::world(data.path()).await;
    judge(&again, &told).await;
    again.engine.stop().await;
    println!("{} acknowledged, {} refused, {} outages", told.count(), told.refused.get(), outages.len());
}

#[test]
fn a_disk_that_does_not_sync() {
    alone("failing_disk::a_disk_that_does_not_sync", async |disk| goes_through(disk, &[("sync", ""), ("sync", "")]).await);
}

#[test]
fn a_disk_that_is_full() {
    // At once, in the middle of a batch, and with room for the first attempt to begin.
    let rooms = ["0", "1500", "100000"];
    alone("failing_disk::a_disk_that_is_full", async |disk| goes_through(disk, &rooms.map(|room| ("full", room))).await);
}

#[test]
fn a_disk_that_does_not_write() {
    alone("failing_disk::a_disk_that_does_not_write", async |disk| goes_through(disk, &[("write", ""), ("sync", "")]).await);
}
