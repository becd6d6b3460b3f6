//! What a process says of itself with every beat: for the others, and for `jono cluster status`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::codec;

const SERVES_SHARDS: u8 = 1;
const SERVES_CLIENTS: u8 = 2;
const IS_LEAVING: u8 = 4;

/// A process of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// It owns shards.
    pub serves_shards: bool,
    /// It takes connections of clients.
    pub serves_clients: bool,
    /// It is about to end: it should be given nothing.
    pub is_leaving: bool,
    /// The rest.
    pub about: About,
}

/// What people want to know of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Where it runs: host, process, and where it listens.
    pub name: String,
    /// Which Jono it is.
    pub version: String,
    /// Whole seconds since it started.
    pub up_s: u64,
    /// Entities that are loaded.
    pub entities: u64,
    /// Requests of its sessions that are under way.
    pub asked: u64,
    /// Letters that wait for its arbiters.
    pub letters_waiting: u64,
    /// Bytes that wait to be sent to other processes.
    pub sending_bytes: u64,
    /// Commits that were refused since it started, because another owner had the shard.
    pub commits_fenced: u64,
}

impl Card {
    pub(crate) fn encode(&self) -> Bytes {
        let flags = [(self.serves_shards, SERVES_SHARDS), (self.serves_clients, SERVES_CLIENTS), (self.is_leaving, IS_LEAVING)];
        let mut bytes = vec![flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum()];
        bytes.extend(codec::encode(&self.about));
        bytes.into()
    }

    /// What a member says of itself. What matters to the others is in the first byte, whichever Jono it is.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let (flags, about) = bytes.split_first().unwrap_or((&0, &[]));
        Self {
            serves_shards: flags & SERVES_SHARDS != 0,
            serves_clients: flags & SERVES_CLIENTS != 0,
            is_leaving: flags & IS_LEAVING != 0,
            about: codec::decode(about).unwrap_or_default(),
        }
    }
}
