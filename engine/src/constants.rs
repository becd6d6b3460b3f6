//! What is kept with the data and is the same for every process on it: the secret, the number of shards, the first identity of the log.
//!
//! Whoever comes first makes them. A process goes on with those that it began with; a store that has lost them is given them
//! again, so that whoever comes later goes on with the same.

use bytes::Bytes;
use jono_store::{CommitError, Store};

use crate::engine::{EngineConfig, StartError};

const SECRET: &str = "secret";
const SHARDS: &str = "shards";
const LOG_IDENTITY: &str = "log identity";

/// What a process began with.
#[derive(Clone, Copy)]
pub(crate) struct Constants {
    pub(crate) secret: [u8; 32],
    pub(crate) shard_count: u16,
    pub(crate) log_identity: u64,
}

/// What a store that may have lost its constants has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// Those that were given to it, or had been all along.
    Ours,
    /// Others: somebody has begun anew on it.
    Others,
}

impl Constants {
    /// Those of the store; made where there are none.
    pub(crate) async fn of(store: &dyn Store, shards_wanted: u16) -> Result<Self, StartError> {
        Ok(Self {
            shard_count: shard_count(store, shards_wanted).await?,
            secret: secret_of(store).await?,
            log_identity: u64::from_be_bytes(random(store, LOG_IDENTITY).await?),
        })
    }

    /// Puts them back where they are missing. Not the identity of the log: records that were lost make it another log.
    pub(crate) async fn restore(&self, store: &dyn Store) -> Result<Restored, CommitError> {
        let ours: [(&'static str, &[u8]); 2] = [(SECRET, &self.secret), (SHARDS, &self.shard_count.to_be_bytes())];
        for (name, value) in ours {
            if store.constant(name, Bytes::copy_from_slice(value)).await? != value {
                return Ok(Restored::Others);
            }
        }
        Ok(Restored::Ours)
    }
}

/// The secret that all processes on this store share; it is made if there is none.
///
/// # Errors
/// [`StartError`], when the store cannot be read or written.
pub async fn secret_of(store: &dyn Store) -> Result<[u8; 32], StartError> {
    random(store, SECRET).await
}

/// How many shards this store has. One that is new is given 256.
///
/// # Errors
/// [`StartError`], when the store cannot be read or written.
pub async fn shard_count_of(store: &dyn Store) -> Result<u16, StartError> {
    shard_count(store, EngineConfig::default().shards).await
}

async fn shard_count(store: &dyn Store, wanted: u16) -> Result<u16, StartError> {
    let stored = store.constant(SHARDS, Bytes::copy_from_slice(&wanted.max(1).to_be_bytes())).await?;
    let bytes: [u8; 2] = stored[..].try_into().map_err(|_| StartError::Unknown("a number of shards"))?;
    Ok(u16::from_be_bytes(bytes).max(1))
}

async fn random<const N: usize>(store: &dyn Store, name: &'static str) -> Result<[u8; N], StartError> {
    let mut fresh = [0u8; N];
    getrandom::fill(&mut fresh).map_err(|_| StartError::Unknown("random numbers"))?;
    let stored = store.constant(name, Bytes::copy_from_slice(&fresh)).await?;
    stored[..].try_into().map_err(|_| StartError::Unknown("a constant"))
}
