//! Service that resumes by itself, so that nobody has to restart a process over a disk that was full.
//!
//! When the writer fails, its tables are given up wholly: the queues are closed, what waits is
//! answered, the threads end. Then the *keeper*, a thread of its own, opens the directory again, as
//! often as it takes. Meanwhile everything is refused. The lock of the directory is kept all along,
//! so that no other process takes over a store whose owner lives.
//!
//! Owns the phases, the keeper and its pauses. Does not know what makes a directory usable again:
//! that is [`open`]'s.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jono_points::{KillPoint, pass};
use tokio::sync::watch;

use super::damage::Damage;
use super::group::Newest;
use super::journals;
use super::open::{self, OpenError, Opened};
use super::threads::{Job, Queues, Threads, spawn};
use super::writer::{Command, OnFailure};
use crate::Durability;

/// Before the first attempt. What fails for less than this is not worth the two outages it would
/// make; and fjall's own thread, which may end a moment after its tables are closed and then still
/// flushes the old journal, has long gone.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Between later attempts; each takes twice the pause of the one before, up to this. An attempt
/// costs some 16 MiB of writing, and who frees a disk waits half a minute at most. Service that
/// lasts this long starts the pauses anew: a disk that fills up at once makes no loop.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The handle's side.
pub(super) struct Service {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
    closed: watch::Receiver<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Notified when the phase becomes [`Phase::Closing`].
    closing: Condvar,
}

struct State {
    phase: Phase,
    /// Of the tables that are open, or were open last.
    damage: Arc<Damage>,
}

enum Phase {
    Serving(Queues),
    /// Why there is no service.
    Outage(String),
    Closing,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        let phase = match &state.phase {
            Phase::Serving(_) => "serving",
            Phase::Outage(why) => why,
            Phase::Closing => "closing",
        };
        f.debug_struct("Service").field("phase", &phase).finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn start(dir: &Path, durability: Durability) -> Result<Self, OpenError> {
        let lock = open::lock(dir)?;
        let opened = open::first(dir)?;
        let state = State { phase: Phase::Outage("not started".into()), damage: Arc::clone(&opened.damage) };
        let shared = Arc::new(Shared { state: Mutex::new(state), closing: Condvar::new() });
        let (alive, closed) = watch::channel(());
        let mut keeper = Keeper { dir: dir.into(), durability, shared: Arc::clone(&shared), newest: None, lock, alive };
        let threads = keeper.serve(opened)?;
        let keeper = spawn("store-keeper", move || {
            keeper.run(threads);
            // In this order: who hears that the store is closed may open it.
            drop(keeper.lock);
            drop(keeper.alive);
        })?;
        Ok(Self { shared, keeper: Some(keeper), closed })
    }

    pub(super) fn damage(&self) -> Arc<Damage> {
        Arc::clone(&self.shared.state().damage)
    }

    pub(super) fn send_read(&self, job: Job) -> Result<(), String> {
        self.shared.state().queues()?.send_read(job).map_err(str::to_owned)
    }

    pub(super) fn send_command(&self, command: Command) -> Result<(), String> {
        self.shared.state().queues()?.send_command(command).map_err(str::to_owned)
    }

    /// Lets the threads finish what they have, or ends the attempts to open again; resolves when the
    /// lock is released.
    pub(super) fn close(&self) -> BoxFuture<'static, ()> {
        self.shared.begin_close();
        let mut closed = self.closed.clone();
        // Nothing is ever sent: the keeper drops the sender at its end.
        async move { while closed.changed().await.is_ok() {} }.boxed()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.begin_close();
        if self.keeper.take().is_some_and(|keeper| keeper.join().is_err()) {
            tracing::error!("closing the store panicked");
        }
    }
}

impl State {
    fn queues(&self) -> Result<&Queues, String> {
        match &self.phase {
            Phase::Serving(queues) => Ok(queues),
            Phase::Outage(why) => Err(format!("until it can be opened again: {why}")),
            Phase::Closing => Err("closed".into()),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_close(&self) {
        self.state().phase = Phase::Closing;
        self.closing.notify_all();
    }

    /// Closes the queues, so that the threads end. Only the first reason of an outage counts.
    fn begin_outage(&self, why: &str) {
        let mut state = self.state();
        if let Phase::Serving(_) = state.phase {
            tracing::error!(why, "the store failed: no service until it has been opened again");
            state.phase = Phase::Outage(why.into());
        }
    }

    /// Opens the queues, unless the store is being closed: then they are dropped.
    fn resume(&self, queues: Queues, damage: Arc<Damage>) {
        let mut state = self.state();
        if let Phase::Outage(_) = state.phase {
            *state = State { phase: Phase::Serving(queues), damage };
        }
    }

    fn is_closing(&self) -> bool {
        matches!(self.state().phase, Phase::Closing)
    }

    /// Waits; `false` as soon as the store is being closed.
    fn pause(&self, pause: Duration) -> bool {
        let is_open = |state: &mut State| !matches!(state.phase, Phase::Closing);
        let waited = self.closing.wait_timeout_while(self.state(), pause, is_open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        is_open(&mut state)
    }
}

/// The thread that waits for the other threads, and starts new ones.
struct Keeper {
    dir: PathBuf,
    durability: Durability,
    shared: Arc<Shared>,
    /// What was acknowledged last, and must be found again.
    newest: Option<Newest>,
    lock: File,
    /// Dropped at the end.
    alive: watch::Sender<()>,
}

impl Keeper {
    fn run(&mut self, mut threads: Threads) {
        let mut pause = PAUSE_MIN;
        loop {
            let serving_since = Instant::now();
            let ended = threads.join();
            let failed_at = Instant::now();
            self.newest = ended.newest.or(self.newest.take());
            if self.shared.is_closing() {
                pass(KillPoint::StoreSynced);
                let sealed = if ended.in_order { journals::seal(&self.dir) } else { Ok(()) };
                if let Err(error) = sealed {
                    tracing::warn!(%error, "the next opening cannot tell that the store was closed in order");
                }
                return;
            }
            if failed_at - serving_since >= PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            threads = loop {
                if !self.shared.pause(pause) {
                    return;
                }
                pause = (2 * pause).min(PAUSE_MAX);
                match self.attempt() {
                    Ok(threads) => break threads,
                    Err(error) => {
                        tracing::warn!(%error, next_attempt_s = pause.as_secs(), "the store cannot be opened again yet")
                    }
                }
            };
            if !self.shared.is_closing() {
                tracing::info!(outage_ms = failed_at.elapsed().as_millis(), "the store is in service again");
            }
        }
    }

    fn attempt(&self) -> Result<Threads, OpenError> {
        let again = AssertUnwindSafe(|| open::again(&self.dir, &self.lock, self.newest.as_ref()));
        let opened = catch_unwind(again).unwrap_or_else(|_| Err(OpenError::Corrupt { what: "opening it panicked".into() }))?;
        Ok(self.serve(opened)?)
    }

    fn serve(&self, opened: Opened) -> io::Result<Threads> {
        let Opened { tables, damage } = opened;
        let shared = Arc::clone(&self.shared);
        let on_failure: OnFailure = Arc::new(move |why| shared.begin_outage(why));
        let (queues, threads) = Threads::start(tables, &damage, self.durability, &on_failure)?;
        // The writer fails on a command only, and has none yet: so no failure is missed.
        self.shared.resume(queues, damage);
        Ok(threads)
    }
}
