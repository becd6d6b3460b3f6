//! One run: from a seed to what came of it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::oracle::{Counts, Promise, Violation};
use crate::plan::Plan;
use crate::setup;
use crate::timeline::{MS, Micros, SECOND};
use crate::world::World;

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What panicked on this thread since the last look.
pub fn take_panic() -> Option<String> {
    PANIC.with(|panic| panic.borrow_mut().take())
}

/// Panics of what is simulated are violations: they are noted, not printed. Whoever judges a run may panic as usual.
fn note_panics() {
    static NOTE: Once = Once::new();
    NOTE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
            if !IS_RUNNING.get() || std::env::var_os("JONO_SIM_PANICS").is_some() {
                before(info);
            }
        }));
    });
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its plan.
    pub plan: Plan,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// What was looked at.
    pub counts: Counts,
    /// Two runs that did the same have the same.
    pub digest: u64,
    /// How much time passed in it.
    pub simulated: Micros,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    run_plan(Plan::of(seed))
}

/// Runs a plan.
#[must_use]
pub fn run_plan(plan: Plan) -> Report {
    note_panics();
    take_panic();
    IS_RUNNING.set(true);
    let mut world = World::new(plan);
    play(&mut world);
    IS_RUNNING.set(false);
    let now = world.now();
    if let Some(panic) = take_panic() {
        world.oracle.broken(Promise::NoPanic, panic);
    }
    Report {
        plan: world.plan.clone(),
        violations: std::mem::take(&mut world.oracle.violations),
        counts: world.oracle.counts,
        digest: world.timeline.digest(),
        simulated: now,
    }
}

fn play(world: &mut World) {
    if !set_up(world) {
        return;
    }
    setup::admit_everybody(world);
    world.is_busy = true;
    world.plan_faults();
    world.pass(world.plan.busy_for);
    world.heal();
    world.pass(SECOND);
    world.is_busy = false;
    // Who is taken for dead is replaced within 5 s; requests are given up and repeated after 8 s at most.
    if !world.all_content(45 * SECOND) {
        return;
    }
    // What was told before owners were settled is told again when it has been calm for 2 s.
    world.pass(3 * SECOND);
    world.audit(false);
    world.audit_presence();
    world.send_everybody_home();
    // A connection that broke without a word is found out; then timers end everything.
    let rules = &world.plan.rules;
    let rest = (rules.close_after_ms + 8_000 + rules.skew_ms) * MS + rules.silent_max;
    world.pass(rest);
    world.audit(true);
    world.audit_presence();
}

fn set_up(world: &mut World) -> bool {
    world.start_processes();
    let end = world.now() + 30 * SECOND;
    let first = |world: &World| world.processes.iter().flatten().position(|process| process.engine().is_some());
    world.until(end, |world| first(world).is_some());
    let done = Arc::new(AtomicBool::new(false));
    let started = first(world).and_then(|number| {
        let process = world.processes.iter().flatten().nth(number)?;
        let making = setup::make_organisations(process.engine()?, world.plan.clone(), Arc::clone(&done));
        process.spawn(making);
        Some(())
    });
    let made = started.is_some() && world.until(end, move |_| done.load(Ordering::Relaxed));
    // Other processes have heard of it.
    world.pass(2 * SECOND);
    if !made && world.oracle.violations.is_empty() {
        world.oracle.broken(Promise::Served, "nothing could be set up".into());
    }
    made
}
