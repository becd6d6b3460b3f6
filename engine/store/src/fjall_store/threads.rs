//! The threads of an open store, and the bounded queues to them.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::damage::Damage;
use super::reader::Reader;
use super::tables::Tables;
use super::writer::{Command, Writer};
use crate::Durability;

/// Threads that read. Reads happen when an entity is loaded or a history is opened; two keep one
/// slow read from stopping the next, on as few cores as this runs on.
const READERS: usize = 2;

/// Reads that wait. At 20 us each, the last one waits 10 ms.
const READS_MAX: usize = 1024;

/// Commits that wait: 256 shards have one each under way, and some are acquired at the same time.
const COMMANDS_MAX: usize = 2048;

/// Bytes of commits that wait, before the last one: bounds the memory when the disk stalls.
const COMMAND_BYTES_MAX: usize = 64 * 1024 * 1024;

const BUSY: &str = "busy";
const CLOSED: &str = "closed";

/// What a reader thread does once.
pub(super) type Job = Box<dyn FnOnce(Reader<'_>) + Send>;

/// The running threads.
pub(super) struct Threads {
    state: Mutex<State>,
    queued_bytes: Arc<AtomicUsize>,
    closed: watch::Sender<bool>,
}

enum State {
    Running {
        commands: SyncSender<Command>,
        reads: SyncSender<Job>,
        handles: Vec<JoinHandle<()>>,
        lock: File,
    },
    /// The thread that waits for the others, until somebody waits for it.
    Closing(Option<JoinHandle<()>>),
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("queued_bytes", &self.queued_bytes).finish_non_exhaustive()
    }
}

impl Threads {
    /// The threads alone own the tables, so that these are closed when the threads have ended.
    pub(super) fn start(tables: &Tables, damage: &Arc<Damage>, durability: Durability, lock: File) -> io::Result<Self> {
        let (commands, queue) = sync_channel(COMMANDS_MAX);
        let (reads, jobs) = sync_channel::<Job>(READS_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer::new(tables.clone(), Arc::clone(damage), durability, Arc::clone(&queued_bytes));
        let mut handles = vec![spawn("store-writer", move || writer.run(&queue))?];
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..READERS {
            let (tables, damage, jobs) = (tables.clone(), Arc::clone(damage), Arc::clone(&jobs));
            handles.push(spawn("store-reader", move || run_reader(&tables, &damage, &jobs))?);
        }
        Ok(Self {
            state: Mutex::new(State::Running { commands, reads, handles, lock }),
            queued_bytes,
            closed: watch::Sender::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send_read(&self, job: Job) -> Result<(), &'static str> {
        match &*self.state() {
            State::Running { reads, .. } => reads.try_send(job).map_err(|error| refusal(&error)),
            State::Closing(_) => Err(CLOSED),
        }
    }

    pub(super) fn send_command(&self, command: Command) -> Result<(), &'static str> {
        let bytes = match &command {
            Command::Commit { bytes, .. } => *bytes,
            Command::Acquire { .. } | Command::Constant { .. } | Command::Forget { .. } => 0,
        };
        let state = self.state();
        let State::Running { commands, .. } = &*state else {
            return Err(CLOSED);
        };
        if bytes > 0 && self.queued_bytes.load(Ordering::Relaxed) >= COMMAND_BYTES_MAX {
            return Err(BUSY);
        }
        // Before sending, since the writer subtracts as soon as it has the command.
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        commands.try_send(command).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            refusal(&error)
        })
    }

    /// Lets the threads finish what they have; resolves when they have ended.
    pub(super) fn close(&self) -> BoxFuture<'static, ()> {
        self.begin_close();
        let mut closed = self.closed.subscribe();
        // The sender may be dropped first, which also waits for the threads.
        async move { drop(closed.wait_for(|closed| *closed).await) }.boxed()
    }

    fn begin_close(&self) {
        let mut state = self.state();
        if let State::Closing(_) = &*state {
            return;
        }
        if let State::Running { commands, reads, handles, lock } = std::mem::replace(&mut *state, State::Closing(None)) {
            drop((commands, reads));
            let closed = self.closed.clone();
            let end = move || {
                for handle in handles {
                    if handle.join().is_err() {
                        tracing::error!("a thread of the store had panicked");
                    }
                }
                drop(lock);
                closed.send_replace(true);
            };
            match spawn("store-closer", end) {
                Ok(closer) => *state = State::Closing(Some(closer)),
                // No thread to wait in: the others end all the same, but nobody hears of it.
                Err(error) => {
                    tracing::error!(%error, "cannot wait for the end of the store");
                    self.closed.send_replace(true);
                }
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.begin_close();
        let closer = match &mut *self.state() {
            State::Running { .. } => None,
            State::Closing(closer) => closer.take(),
        };
        if closer.is_some_and(|closer| closer.join().is_err()) {
            tracing::error!("closing the store panicked");
        }
    }
}

fn run_reader(tables: &Tables, damage: &Damage, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // One reader waits for the channel, the other for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(|| job(Reader { tables, damage }))).is_err() {
            tracing::error!("reading from the store panicked");
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(run)
}

fn refusal<T>(error: &TrySendError<T>) -> &'static str {
    match error {
        TrySendError::Full(_) => BUSY,
        TrySendError::Disconnected(_) => CLOSED,
    }
}
