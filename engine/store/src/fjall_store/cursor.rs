//! A place in a table that moves forward only: to read what belongs to many entities, in the order in
//! which they are stored, without looking each one up from the top.

use bytes::Bytes;
use fjall::Slice;

use super::tables::{View, read_error, unseal};
use crate::ReadError;
use crate::record::Space;

/// Entries that are passed over before the next key is looked up from the top, which costs as much
/// as some ten steps.
const STEPS_MAX: usize = 10;

/// A place in one table.
pub(super) struct Cursor<'a> {
    view: &'a View<'a>,
    space: Space,
    entries: Option<fjall::Iter>,
    /// What the cursor stands before.
    next: Option<(Slice, Slice)>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(view: &'a View<'a>, space: Space) -> Self {
        Self { view, space, entries: None, next: None }
    }

    /// Moves before the first entry from `key` on, which must not lie behind the cursor.
    pub(super) fn seek(&mut self, key: &[u8]) -> Result<(), ReadError> {
        for _ in 0..=STEPS_MAX {
            match &self.next {
                Some((at, _)) if **at < *key => {}
                Some(_) => return Ok(()),
                None if self.entries.is_some() => return Ok(()),
                None => break,
            }
            // What does not read on the way is none of what is looked for.
            if self.step().is_err() {
                break;
            }
        }
        self.entries = Some(self.view.entries(self.space, key));
        self.step()
    }

    /// Moves over one entry. After an error the next move is a look-up.
    pub(super) fn step(&mut self) -> Result<(), ReadError> {
        self.next = None;
        match self.entries.as_mut().and_then(Iterator::next).map(fjall::Guard::into_inner) {
            Some(Ok(entry)) => self.next = Some(entry),
            Some(Err(error)) => {
                self.entries = None;
                return Err(read_error(error));
            }
            None => {}
        }
        Ok(())
    }

    /// The key that the cursor stands before, if it begins with `prefix`.
    pub(super) fn key(&self, prefix: &[u8]) -> Option<&Slice> {
        self.next.as_ref().map(|(key, _)| key).filter(|key| key.starts_with(prefix))
    }

    /// The entry that the cursor stands before, if its key begins with `prefix`.
    pub(super) fn entry(&self, prefix: &[u8]) -> Option<(&Slice, Result<Bytes, ReadError>)> {
        let (key, sealed) = self.next.as_ref().filter(|(key, _)| key.starts_with(prefix))?;
        Some((key, unseal(self.space, key, sealed)))
    }

    /// The payload of the record under this key, which must not lie behind the cursor.
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        self.seek(key)?;
        match &self.next {
            Some((found, sealed)) if **found == *key => unseal(self.space, key, sealed).map(Some),
            _ => Ok(None),
        }
    }
}
