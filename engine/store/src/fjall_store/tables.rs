//! The tables on the disk, one fjall keyspace per kind of record, and how they are tuned.
//!
//! The only module that opens fjall and turns its errors into ours.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Slice, Snapshot};

use crate::ReadError;
use crate::record::{self, Space};

/// Blocks kept in memory over all tables. Entities are read once and then live in their actors, so
/// a large cache would hold what nobody asks for again.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Memory of one table before it is written out. Eight tables, each with one being filled and one
/// being written, make 128 MiB at the very most, and some 20 in ordinary use.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

/// Journals on the disk before the tables that hold them back are written out.
const JOURNALS_BYTES: u64 = 128 * 1024 * 1024;

/// Threads that write tables out and compact them: one, since the machine is shared with the actors.
const WORKERS: usize = 1;

/// Open table files.
const FILES_MAX: usize = 128;

/// fjall makes the caller wait, unwakeably, at 4 tables that are not yet written out, and at 30
/// files on the first level. If its worker dies then, it waits for ever; so the wait is done here,
/// before, where a dead worker is noticed.
const UNWRITTEN_MAX: usize = 3;
const FIRST_LEVEL_MAX: usize = 28;
const ROOM_POLL: Duration = Duration::from_millis(2);

/// The open database.
#[derive(Clone)]
pub(super) struct Tables {
    db: Database,
    spaces: [fjall::Keyspace; Space::ALL.len()],
}

impl Tables {
    /// Opens or creates the tables in `dir`.
    pub(super) fn open(dir: &Path) -> fjall::Result<Self> {
        let db = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNALS_BYTES)
            .max_cached_files(Some(FILES_MAX))
            .worker_threads(WORKERS)
            .open()?;
        let [s1, s2, s3, s4, s5, s6, s7, s8] = Space::ALL;
        let table = |space: Space| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            db.keyspace(space.name(), options)
        };
        let spaces = [table(s1)?, table(s2)?, table(s3)?, table(s4)?, table(s5)?, table(s6)?, table(s7)?, table(s8)?];
        Ok(Self { db, spaces })
    }

    fn table(&self, space: Space) -> &fjall::Keyspace {
        &self.spaces[space as usize - 1]
    }

    /// A view of this moment over all tables.
    pub(super) fn view(&self) -> View<'_> {
        View { tables: self, snapshot: self.db.snapshot() }
    }

    /// An empty change, applied as a whole and as durable as `mode` says.
    pub(super) fn change(&self, len: usize, mode: PersistMode) -> Change<'_> {
        let batch = OwnedWriteBatch::with_capacity(self.db.clone(), len).durability(Some(mode));
        Change { tables: self, batch }
    }

    pub(super) fn persist(&self, mode: PersistMode) -> fjall::Result<()> {
        self.db.persist(mode)
    }

    /// Waits until fjall has caught up far enough not to block; an error if it never will.
    pub(super) fn wait_for_room(&self) -> fjall::Result<()> {
        let is_behind =
            |table: &fjall::Keyspace| table.sealed_memtable_count() >= UNWRITTEN_MAX || table.l0_table_count() >= FIRST_LEVEL_MAX;
        while self.spaces.iter().any(is_behind) {
            // Cheap, and answers `Poisoned` when a worker has died.
            self.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(ROOM_POLL);
        }
        Ok(())
    }
}

/// Changes that are applied together.
pub(super) struct Change<'a> {
    tables: &'a Tables,
    batch: OwnedWriteBatch,
}

impl Change<'_> {
    /// Puts the record of two concatenated parts.
    pub(super) fn put(&mut self, space: Space, key: &[u8], parts: [&[u8]; 2]) {
        let sealed = record::seal(space, key, parts);
        self.batch.insert(self.tables.table(space), key, sealed);
    }

    pub(super) fn delete(&mut self, space: Space, key: &[u8]) {
        self.batch.remove(self.tables.table(space), key);
    }

    pub(super) fn commit(self) -> fjall::Result<()> {
        self.batch.commit()
    }
}

/// The tables as they were at one moment. Every record read is checked; values are copied, since a
/// slice of a block would keep the whole block in memory.
pub(super) struct View<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

impl View<'_> {
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        match self.snapshot.get(self.tables.table(space), key).map_err(read_error)? {
            Some(sealed) => unseal(space, key, &sealed).map(Some),
            None => Ok(None),
        }
    }

    /// Keys and payloads from `from` on, in order, while the key begins with `prefix`.
    pub(super) fn range<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        from: Vec<u8>,
    ) -> impl Iterator<Item = Result<(Slice, Bytes), ReadError>> + 'a {
        self.snapshot
            .range(self.tables.table(space), from..)
            .map(|entry| entry.into_inner().map_err(read_error))
            .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .map(move |entry| {
                let (key, sealed) = entry?;
                let payload = unseal(space, &key, &sealed)?;
                Ok((key, payload))
            })
    }

    /// Keys alone; the records are not checked.
    pub(super) fn keys<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        from: Vec<u8>,
    ) -> impl Iterator<Item = Result<Slice, ReadError>> + 'a {
        self.snapshot
            .range(self.tables.table(space), from..)
            .map(|entry| entry.key().map_err(read_error))
            .take_while(move |key| key.as_ref().map_or(true, |key| key.starts_with(prefix)))
    }

    /// Entries from `from` on, unchecked.
    pub(super) fn entries(&self, space: Space, from: &[u8]) -> fjall::Iter {
        self.snapshot.range(self.tables.table(space), from..)
    }
}

pub(super) fn unseal(space: Space, key: &[u8], sealed: &[u8]) -> Result<Bytes, ReadError> {
    record::open(space, key, sealed).map(Bytes::copy_from_slice)
}

/// What fjall says, and of an I/O error what the system says.
pub(super) fn reason(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error.to_string(),
        fjall::Error::Poisoned => "writing tables out failed".into(),
        other => other.to_string(),
    }
}

/// An I/O error may pass; whatever else fjall says about what it reads means that it is damaged.
pub(super) fn read_error(error: fjall::Error) -> ReadError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) | fjall::Error::Poisoned => {
            ReadError::Unavailable(reason(&error))
        }
        other => ReadError::Corrupt(other.to_string()),
    }
}
