//! Opening a directory: the lock, the first creation, the version of the format, the start check.
//!
//! ```text
//! <dir>/lock          locked while a process has the store open
//! <dir>/records       the tables
//! <dir>/records.new   tables being created; without meaning, removed at the next opening
//! ```

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use fjall::PersistMode;

use super::damage::Damage;
use super::keys;
use super::reader;
use super::tables::Tables;
use crate::ReadError;
use crate::record::Space;

/// The version of keys and payloads that this code reads and writes.
pub(super) const FORMAT: u32 = 1;

/// Why a directory could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process, or another store of this one, has the directory open.
    Locked,
    /// The directory was written by another version of the format.
    Version {
        /// The version of the directory.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// The directory as a whole cannot be read. Damage of single entities does not prevent opening:
    /// see [`FjallStore::damaged`](crate::FjallStore::damaged).
    Corrupt {
        /// What is wrong.
        what: String,
    },
    /// The directory could not be read, written or created.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => write!(f, "the data directory is in use by another process"),
            Self::Version { found, known } => {
                write!(f, "the data directory has format {found}, but this program knows only format {known}")
            }
            Self::Corrupt { what } => write!(f, "the data directory is damaged: {what}"),
            Self::Io(error) => write!(f, "the data directory cannot be used: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Locked | Self::Version { .. } | Self::Corrupt { .. } => None,
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Self::Io(error),
            fjall::Error::Locked => Self::Locked,
            other => Self::Corrupt { what: other.to_string() },
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(why) => Self::Io(io::Error::other(why)),
            ReadError::Corrupt(what) => Self::Corrupt { what },
        }
    }
}

/// Locks the directory, creating it if need be. The lock lasts as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    fs::create_dir_all(dir)?;
    let lock = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Opens the tables of a locked directory, creating them if need be, and checks their format.
///
/// They are created under another name, so that a process that dies meanwhile leaves nothing that
/// the next one would take for a store.
pub(super) fn tables(dir: &Path) -> Result<Tables, OpenError> {
    let records = dir.join("records");
    if !records.try_exists()? {
        let unfinished = dir.join("records.new");
        if unfinished.try_exists()? {
            fs::remove_dir_all(&unfinished)?;
        }
        let tables = Tables::open(&unfinished)?;
        let mut change = tables.change(1, Some(PersistMode::SyncAll));
        change.put(Space::Meta, keys::FORMAT, [&FORMAT.to_be_bytes(), &[]]);
        change.commit()?;
        drop(tables);
        fs::rename(&unfinished, &records)?;
        File::open(dir)?.sync_all()?;
    }
    let tables = Tables::open(&records)?;
    let stored = tables.view().get(Space::Meta, keys::FORMAT)?;
    let found = stored.as_deref().and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    match found {
        Some(FORMAT) => Ok(tables),
        Some(found) => Err(OpenError::Version { found, known: FORMAT }),
        None => Err(OpenError::Corrupt { what: "it does not say which format it has".into() }),
    }
}

/// The start check: of each live entity, the head against the end of the log, and every record that
/// is needed to bring it back. What does not read is quarantined; entities that are not live are
/// checked when they are loaded, so the time goes with what is alive, not with what is stored.
pub(super) fn check(tables: &Tables, damage: &Damage) -> Result<(), OpenError> {
    let view = tables.view();
    for key in view.keys(Space::Live, &[], Vec::new()) {
        let key = key?;
        let Some((shard, entity)) = keys::entity_of(&key) else {
            return Err(OpenError::Corrupt { what: "the mark of a live entity has no key".into() });
        };
        let checked = match view.get(Space::Live, &key) {
            Ok(_) => reader::check(&view, shard, &entity),
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => {}
            Err(ReadError::Corrupt(what)) => damage.quarantine(&entity, &what),
            Err(error @ ReadError::Unavailable(_)) => return Err(error.into()),
        }
    }
    Ok(())
}
