//! The threads that work on open tables, and the bounded queues to them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::damage::Damage;
use super::group::Newest;
use super::reader::Reader;
use super::tables::Tables;
use super::writer::{Command, OnFailure, Writer};
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
const GONE: &str = "the thread is gone";

/// What a reader thread does once.
pub(super) type Job = Box<dyn FnOnce(Reader<'_>) + Send>;

/// The ways to the threads. These end when this is dropped and they have finished what waits.
pub(super) struct Queues {
    commands: SyncSender<Command>,
    reads: SyncSender<Job>,
    /// Bytes of commits that wait.
    bytes: Arc<AtomicUsize>,
}

/// The threads, to be waited for.
pub(super) struct Threads {
    writer: JoinHandle<Ended>,
    readers: Vec<JoinHandle<()>>,
}

/// How it ended.
pub(super) struct Ended {
    /// Everything acknowledged is synced, and nothing else was written.
    pub(super) in_order: bool,
    /// What was acknowledged last.
    pub(super) newest: Option<Newest>,
}

impl Queues {
    pub(super) fn send_read(&self, job: Job) -> Result<(), &'static str> {
        self.reads.try_send(job).map_err(|error| refusal(&error))
    }

    pub(super) fn send_command(&self, command: Command) -> Result<(), &'static str> {
        let bytes = match &command {
            Command::Commit { bytes, .. } => *bytes,
            Command::Acquire { .. } | Command::Constant { .. } | Command::Forget { .. } => 0,
        };
        if bytes > 0 && self.bytes.load(Ordering::Relaxed) >= COMMAND_BYTES_MAX {
            return Err(BUSY);
        }
        // Before sending, since the writer subtracts as soon as it has the command.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            refusal(&error)
        })
    }
}

impl Threads {
    /// The threads alone own the tables, so that these are closed when the threads have ended.
    pub(super) fn start(
        tables: Tables,
        damage: &Arc<Damage>,
        durability: Durability,
        on_failure: &OnFailure,
    ) -> io::Result<(Queues, Self)> {
        let (commands, queue) = sync_channel(COMMANDS_MAX);
        let (reads, jobs) = sync_channel::<Job>(READS_MAX);
        let bytes = Arc::new(AtomicUsize::new(0));
        let queues = Queues { commands, reads, bytes: Arc::clone(&bytes) };
        let writer = Writer::new(tables.clone(), Arc::clone(damage), durability, bytes, Arc::clone(on_failure));
        let on_panic = Arc::clone(on_failure);
        let writer = spawn("store-writer", move || run_writer(writer, &queue, &on_panic))?;
        let mut threads = Self { writer, readers: Vec::new() };
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..READERS {
            let (tables, damage, jobs) = (tables.clone(), Arc::clone(damage), Arc::clone(&jobs));
            match spawn("store-reader", move || run_reader(&tables, &damage, &jobs)) {
                Ok(reader) => threads.readers.push(reader),
                Err(error) => {
                    drop(queues);
                    threads.join();
                    return Err(error);
                }
            }
        }
        Ok((queues, threads))
    }

    /// Waits until the threads have ended and the tables are closed.
    pub(super) fn join(self) -> Ended {
        let ended = self.writer.join();
        let read = self.readers.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        if ended.is_err() || read > 0 {
            tracing::error!("a thread of the store had panicked");
        }
        ended.unwrap_or(Ended { in_order: false, newest: None })
    }
}

fn run_writer(mut writer: Writer, commands: &Receiver<Command>, on_panic: &OnFailure) -> Ended {
    let outcome = catch_unwind(AssertUnwindSafe(|| writer.run(commands)));
    if outcome.is_err() {
        on_panic("the writer panicked");
    }
    Ended { in_order: outcome.unwrap_or(false), newest: writer.into_newest() }
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

pub(super) fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.into()).spawn(run)
}

fn refusal<T>(error: &TrySendError<T>) -> &'static str {
    match error {
        TrySendError::Full(_) => BUSY,
        TrySendError::Disconnected(_) => GONE,
    }
}
