//! The thread that syncs journals, so that the writer goes on meanwhile: a sync takes as long as the disk likes, and
//! whoever commits at level `second` need not wait for it.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::journals;
use super::threads::spawn;

/// How long a write waits for its sync to begin.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// How old what is not synced may be while more is acknowledged. It is what a power cut takes with it.
const UNSYNCED_MAX: Duration = Duration::from_secs(1);

/// The writer's end of it.
pub(super) struct Syncer {
    /// Dropped, it ends the thread.
    orders: Option<Sender<()>>,
    outcomes: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
    /// When the first write was made that no sync has begun for.
    written_at: Option<Instant>,
    /// When the first write was made that a sync is under way for.
    syncing: Option<Instant>,
}

impl Syncer {
    pub(super) fn start(records: PathBuf) -> io::Result<Self> {
        let (orders, ordered) = channel();
        let (said, outcomes) = channel();
        let thread = spawn("store-syncer", move || {
            while ordered.recv().is_ok() {
                if said.send(journals::sync(&records)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { orders: Some(orders), outcomes, thread: Some(thread), written_at: None, syncing: None })
    }

    /// Something was written that must be synced.
    pub(super) fn note(&mut self) {
        self.written_at.get_or_insert_with(Instant::now);
    }

    /// When [`keep`](Self::keep) has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.syncing {
            Some(since) => Some(since + UNSYNCED_MAX),
            None => self.written_at.map(|at| at + SYNC_AFTER),
        }
    }

    /// Begins a sync that is due; waits for one that takes too long.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        if let Some(since) = self.syncing {
            let outcome = match self.outcomes.try_recv() {
                Err(TryRecvError::Empty) if Instant::now() < since + UNSYNCED_MAX => return Ok(()),
                Err(TryRecvError::Empty) => self.outcomes.recv().unwrap_or_else(|_| Err(gone())),
                Err(TryRecvError::Disconnected) => Err(gone()),
                Ok(outcome) => outcome,
            };
            self.syncing = None;
            outcome?;
        }
        if let Some(at) = self.written_at.take_if(|at| Instant::now() >= *at + SYNC_AFTER) {
            let orders = self.orders.as_ref().ok_or_else(gone)?;
            orders.send(()).map_err(|_| gone())?;
            self.syncing = Some(at);
        }
        Ok(())
    }

    /// Waits for the sync that is under way, and for the thread.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.orders = None;
        let outcome = match self.syncing.take() {
            Some(_) => self.outcomes.recv().unwrap_or_else(|_| Err(gone())),
            None => Ok(()),
        };
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(gone()),
            Some(Ok(())) | None => outcome,
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that syncs is gone")
}

impl Drop for Syncer {
    /// The directory may be opened again when the writer has ended: nothing of it is left then.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn back(by: Duration) -> Instant {
        Instant::now().checked_sub(by).expect("the machine has been up for longer")
    }

    fn syncer(dir: &TempDir) -> Syncer {
        Syncer::start(dir.path().to_owned()).unwrap()
    }

    #[test]
    fn a_sync_begins_when_it_is_due_and_not_before() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("0.jnl"), "bytes").unwrap();
        let mut syncer = syncer(&dir);
        assert!(syncer.due().is_none());
        syncer.written_at = Some(Instant::now() + UNSYNCED_MAX);
        syncer.keep().unwrap();
        assert!(syncer.syncing.is_none());
        syncer.written_at = Some(back(SYNC_AFTER));
        syncer.keep().unwrap();
        assert!(syncer.syncing.is_some() && syncer.written_at.is_none());
        syncer.end().unwrap();
        assert!(syncer.syncing.is_none());
    }

    #[test]
    fn what_is_unsynced_for_too_long_is_waited_for() {
        let dir = TempDir::new().unwrap();
        let mut syncer = syncer(&dir);
        syncer.written_at = Some(back(UNSYNCED_MAX));
        syncer.keep().unwrap();
        assert!(syncer.syncing.is_some());
        syncer.note();
        syncer.keep().unwrap();
        assert!(syncer.syncing.is_none() && syncer.written_at.is_some(), "the sync is over, the next one is not due");
    }

    #[test]
    fn a_sync_that_fails_is_told_at_the_next_look() {
        let dir = TempDir::new().unwrap();
        let mut syncer = syncer(&dir);
        drop(dir);
        syncer.written_at = Some(back(UNSYNCED_MAX));
        syncer.keep().unwrap();
        assert!(syncer.keep().is_err());
        syncer.written_at = Some(back(UNSYNCED_MAX));
        syncer.keep().unwrap();
        assert!(syncer.end().is_err());
    }
}
