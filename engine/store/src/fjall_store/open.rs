//! Opening a directory: the lock, the first creation, the version of the format, the start check; and
//! opening it again after a failure.
//!
//! ```text
//! <dir>/lock          locked while a process has the store open, or tries to open it again
//! <dir>/records       the tables
//! <dir>/records.new   tables being created; without meaning, removed at the next opening
//! <dir>/closed        there while the store is closed in order: see [`journals`]
//! <dir>/room          there for a moment, when the disk is tried
//! ```
//!
//! Without `closed` a directory is taken as a crash left it. So who accepts the loss of what a
//! damaged journal held removes that file.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::PersistMode;
use jono_points::{KillPoint, pass};

use super::damage::Damage;
use super::group::Newest;
use super::journals;
use super::keys;
use super::reader::{self, Reader};
use super::tables::Tables;
use crate::ReadError;
use crate::record::Space;

/// The version of keys and payloads that this code reads and writes.
const FORMAT: u32 = 2;

/// Room that the disk must have before service resumes: for one table that is written out (8 MiB),
/// and as much of the journal. With less, the next batches would fail again.
const ROOM_BYTES: usize = 16 * 1024 * 1024;

/// What is opened.
pub(super) struct Opened {
    pub(super) tables: Tables,
    pub(super) damage: Arc<Damage>,
}

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
    /// [`Durability::Replica`](crate::Durability::Replica) was asked for: a directory is on one machine.
    NoReplica,
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
            Self::NoReplica => write!(f, "durability replica needs Redis with replicas: a data directory is on one machine"),
            Self::Io(error) => write!(f, "the data directory cannot be used: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Locked | Self::Version { .. } | Self::Corrupt { .. } | Self::NoReplica => None,
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
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Self::of_file(error),
            fjall::Error::Locked => Self::Locked,
            other => Self::Corrupt { what: other.to_string() },
        }
    }
}

impl OpenError {
    /// What fjall stumbles over where a file ends too soon, or names a place or another file that there is not, is damage and not
    /// the disk's refusal.
    fn of_file(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Corrupt { what: format!("its files do not fit together: {error}") }
            }
            _ => Self::Io(error),
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

/// Opens a locked directory, creating the tables if need be.
pub(super) fn first(dir: &Path) -> Result<Opened, OpenError> {
    // A process that died while it tried the disk left it.
    let room = room(dir);
    if room.try_exists()? {
        fs::remove_file(room)?;
    }
    if records(dir).try_exists()? {
        journals::unseal(dir)?;
    } else {
        create(dir)?;
    }
    // On damaged files fjall may panic.
    catch_unwind(|| open(dir)).unwrap_or_else(|_| Err(OpenError::Corrupt { what: "opening it panicked".into() }))
}

/// Opens a directory again that this process had open and that failed; `lock` is the one it kept.
/// Nothing is created, and nothing is opened that does not hold what was acknowledged.
pub(super) fn again(dir: &Path, lock: &File, newest: Option<&Newest>) -> Result<Opened, OpenError> {
    if !is_lock_of(lock, dir)? {
        return Err(io::Error::other("another directory is in its place").into());
    }
    try_room(dir)?;
    journals::unseal(dir)?;
    let opened = open(dir)?;
    if let Some(Newest { shard, entity, seq }) = newest {
        match reader::head(&opened.tables.view(), *shard, entity) {
            Ok(head) if head < *seq => return Err(OpenError::Corrupt { what: "acknowledged records are missing".into() }),
            // One that does not read is the entity's own damage.
            Ok(_) | Err(ReadError::Corrupt(_)) => {}
            Err(error @ ReadError::Unavailable(_)) => return Err(error.into()),
        }
    }
    Ok(opened)
}

/// Creates the tables, under another name at first, so that a process that dies meanwhile leaves
/// nothing that the next one would take for a store.
fn create(dir: &Path) -> Result<(), OpenError> {
    if journals::is_sealed(dir)? {
        return Err(OpenError::Corrupt { what: "its records are gone".into() });
    }
    let unfinished = dir.join("records.new");
    if unfinished.try_exists()? {
        fs::remove_dir_all(&unfinished)?;
    }
    let tables = Tables::open(&unfinished)?;
    let mut change = tables.change(1, PersistMode::SyncAll);
    change.put(Space::Meta, keys::FORMAT, [&FORMAT.to_be_bytes(), &[]]);
    change.commit()?;
    drop(tables);
    pass(KillPoint::TablesCreated);
    fs::rename(&unfinished, records(dir))?;
    Ok(sync_dir(dir)?)
}

fn open(dir: &Path) -> Result<Opened, OpenError> {
    let tables = Tables::open(&records(dir))?;
    let stored = tables.view().get(Space::Meta, keys::FORMAT)?;
    let found = stored.as_deref().and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    match found {
        Some(FORMAT) => {}
        Some(found) => return Err(OpenError::Version { found, known: FORMAT }),
        None => return Err(OpenError::Corrupt { what: "it does not say which format it has".into() }),
    }
    let damage = Arc::new(Damage::default());
    // Entities that are not live are checked when they are loaded, so the time goes with what is alive,
    // not with what is stored.
    Reader { tables: &tables, damage: &damage }.check()?;
    Ok(Opened { tables, damage })
}

/// Whether the lock is still the one of the directory, and not of one that lay there before: a disk
/// that is gone shows the empty directory below it.
fn is_lock_of(lock: &File, dir: &Path) -> io::Result<bool> {
    let found = fs::metadata(dir.join("lock"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let kept = lock.metadata()?;
        Ok((kept.dev(), kept.ino()) == (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    Ok(found.is_file() && lock.metadata()?.is_file())
}

/// Writes and syncs [`ROOM_BYTES`], and gives them back.
fn try_room(dir: &Path) -> io::Result<()> {
    let path = room(dir);
    let outcome = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0xA5; ROOM_BYTES])?;
        file.sync_all()
    });
    // Also when it failed: what there is of it is what the disk lacks.
    outcome.and(fs::remove_file(&path))
}

fn room(dir: &Path) -> PathBuf {
    dir.join("room")
}

pub(super) fn records(dir: &Path) -> PathBuf {
    dir.join("records")
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
