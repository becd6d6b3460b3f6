//! What is known about a customer, and how much of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX};
use crate::reply::Refusal;
use crate::text::check_word;

/// What is known about a customer under one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetadataValue {
    /// A fact.
    Text(String),
    /// A named group, shown folded: a basket, an address.
    Group(Vec<(String, String)>),
}

impl MetadataValue {
    /// What it adds to the size that is limited.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            MetadataValue::Text(text) => text.len(),
            MetadataValue::Group(entries) => entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
        }
    }
}

/// Would the metadata stay within its limits with these changes? What is removed again counts as well,
/// since the log keeps it.
pub(super) fn check_metadata<'a>(
    before: &BTreeMap<String, MetadataValue>,
    changes: impl Iterator<Item = (&'a String, Option<&'a MetadataValue>)>,
) -> Result<(), Refusal> {
    let entry_bytes = |(key, value): (&String, &MetadataValue)| key.len() + value.bytes();
    let mut after: BTreeMap<&String, &MetadataValue> = before.iter().collect();
    let mut changed = Size::default();
    for (key, value) in changes {
        check_word(key, "metadata")?;
        if let Some(MetadataValue::Group(entries)) = value
            && entries.len() > METADATA_ENTRIES_MAX
        {
            return Err(Refusal::TooLarge { max: METADATA_ENTRIES_MAX as u64 });
        }
        match value {
            Some(value) => after.insert(key, value),
            None => after.remove(key),
        };
        changed.add(value.map_or(0, |value| entry_bytes((key, value))));
        changed.check()?;
    }
    let mut kept = Size::default();
    after.into_iter().for_each(|entry| kept.add(entry_bytes(entry)));
    kept.check()
}

#[derive(Default)]
struct Size {
    entries: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes;
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.entries > METADATA_ENTRIES_MAX {
            return Err(Refusal::TooLarge { max: METADATA_ENTRIES_MAX as u64 });
        }
        if self.bytes > METADATA_BYTES_MAX {
            return Err(Refusal::TooLarge { max: METADATA_BYTES_MAX as u64 });
        }
        Ok(())
    }
}
