//! The journals as files, between a closing and the next opening: what fjall cannot know of them.
//!
//! * A store that was closed in order leaves the sums of its journals in `<dir>/closed`. The next
//!   opening compares them before fjall sees a journal: fjall takes a damaged head of an entry for
//!   the torn end of the last write, and cuts off what was acknowledged behind it. The small files
//!   that say which tables there are, and the ends of tables, have theirs beside them: fjall believes
//!   what they say, or ends the process (a length that is damaged is a failed allocation).
//! * A store that was not is one whose last sync may have failed. Then the kernel may show bytes that
//!   are not on the disk, and sync again without an error and without writing them. So every journal
//!   is written over with what it shows, and synced: what is served afterwards is on the disk.
//!
//! Journals are the only files that fjall appends to. All others are written, synced and only then
//! referred to, so a failed sync leaves none that counts.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::open::{OpenError, records, sync_dir};
use crate::record::sum_on;

/// What is read at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// A new journal is 64 MiB of nothing: blocks like this one are skipped, and stay holes.
const EMPTY: &[u8] = &[0; BLOCK_BYTES];

/// Where a table's index of its parts is; it takes some 300.
const TABLE_END_BYTES: u64 = 4096;

/// A file that holds nothing.
const LOCK: &str = "lock";

/// Says that the store was closed in order. Its tables must be closed.
pub(super) fn seal(dir: &Path) -> io::Result<()> {
    let unfinished = dir.join("closed.new");
    let mut file = File::create(&unfinished)?;
    file.write_all(sums(dir, journals(dir)?)?.as_bytes())?;
    file.write_all(sums(dir, believed(dir)?)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, dir.join("closed"))?;
    sync_dir(dir)
}

/// Whether there is a store that was closed in order.
pub(super) fn is_sealed(dir: &Path) -> io::Result<bool> {
    dir.join("closed").try_exists()
}

/// Makes sure of the journals before they are opened, and that the next closing is not taken for
/// this one.
pub(super) fn unseal(dir: &Path) -> Result<(), OpenError> {
    match fs::read_to_string(dir.join("closed")) {
        Ok(sealed) => {
            let (journals, others) = (sums(dir, journals(dir)?)?, sums(dir, believed(dir)?)?);
            // An earlier program sealed the journals alone.
            match sealed.strip_prefix(&journals) {
                Some(rest) if rest.is_empty() || rest == others => fs::remove_file(dir.join("closed"))?,
                Some(_) => return Err(OpenError::Corrupt { what: "its tables are not those it was closed with".into() }),
                None => return Err(OpenError::Corrupt { what: "its journal is not the one it was closed with".into() }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(OpenError::Corrupt { what: "the seal of its journal does not read".into() });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_again(dir)?,
        Err(error) => return Err(error.into()),
    }
    Ok(sync_dir(dir)?)
}

/// A line for each file: its name, and a sum of its blocks and their places.
fn sums(dir: &Path, files: Vec<PathBuf>) -> io::Result<String> {
    let mut lines = String::new();
    for path in files {
        let mut file = File::open(&path)?;
        if is_table(&path) {
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(TABLE_END_BYTES)))?;
        }
        let mut sum = 0;
        each_block(&file, |_, offset, block| {
            sum = sum_on(sum_on(sum, &offset.to_le_bytes()), block);
            Ok(())
        })?;
        let name = path.strip_prefix(records(dir)).unwrap_or(&path).display();
        lines.push_str(&format!("{name} {sum:08x}\n"));
    }
    Ok(lines)
}

/// Writing the same bytes in the same places can be interrupted anywhere.
fn write_again(dir: &Path) -> io::Result<()> {
    for path in journals(dir)? {
        let file = File::options().read(true).write(true).open(path)?;
        each_block(&file, |mut file, offset, block| {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(block)
        })?;
        file.sync_all()?;
    }
    sync_dir(&records(dir))
}

fn each_block(file: &File, mut each: impl FnMut(&File, u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut offset = 0;
    loop {
        block.clear();
        file.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        if block != EMPTY[..block.len()] {
            each(file, offset, &block)?;
        }
        offset += block.len() as u64;
    }
}

fn journals(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(records(dir))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| is_journal(path));
    paths.sort_unstable();
    Ok(paths)
}

/// Everything but journals. Of tables the ends: their blocks have sums of their own.
fn believed(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                walk(&path, found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(&records(dir), &mut found)?;
    found.retain(|path| !is_journal(path) && path.file_name().is_some_and(|name| name != LOCK));
    found.sort_unstable();
    Ok(found)
}

fn is_table(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("tables"))
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_journal_written_again_is_the_same_and_keeps_its_holes() {
        let dir = TempDir::new().unwrap();
        fs::create_dir(records(dir.path())).unwrap();
        let path = records(dir.path()).join("0.jnl");
        let mut file = File::create(&path).unwrap();
        // Three blocks with bytes in them and more than the disk may have without, and an odd end.
        for offset in [0, 5 * BLOCK_BYTES as u64 - 3, 1 << 40] {
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.write_all(b"bytes").unwrap();
        }
        file.set_len(9 * BLOCK_BYTES as u64 + 77).unwrap();
        drop(file);
        let (before, sums_before) = (fs::read(&path).unwrap(), sums(dir.path(), journals(dir.path()).unwrap()).unwrap());
        write_again(dir.path()).unwrap();
        assert!(fs::read(&path).unwrap() == before);
        assert_eq!(sums(dir.path(), journals(dir.path()).unwrap()).unwrap(), sums_before);
    }

    #[test]
    fn a_byte_in_another_place_makes_another_sum() {
        let dir = TempDir::new().unwrap();
        fs::create_dir(records(dir.path())).unwrap();
        let sum_of = |bytes: &[u8]| {
            fs::write(records(dir.path()).join("0.jnl"), bytes).unwrap();
            sums(dir.path(), journals(dir.path()).unwrap()).unwrap()
        };
        let mut bytes = vec![0; 3 * BLOCK_BYTES];
        bytes[7] = 1;
        let sum = sum_of(&bytes);
        // The end of a journal that is not used yet says nothing.
        assert_eq!(sum_of(&bytes[..2 * BLOCK_BYTES]), sum);
        bytes.rotate_right(BLOCK_BYTES);
        assert_ne!(sum_of(&bytes), sum);
    }
}
