//! The settings of all organisations, read from the store by a process that need not own them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jono_domain::id::OrganisationId;
use jono_domain::message::Address;
use jono_domain::organisation::Organisation;
use jono_store::{Loaded, ReadError, ShardId, Store};

use crate::directory::Directory;
use crate::entity::state_of;
use crate::kind::{key_of, last_organisation_key, shard_of};
use crate::limits::RECOVERY_PAGE;

/// Reads all of them.
pub(crate) async fn read_all(store: &Arc<dyn Store>, shard_count: u16, directory: &ArcSwap<Directory>) -> Result<(), ReadError> {
    let last = last_organisation_key();
    for shard in (0..shard_count).map(ShardId) {
        let mut after = None;
        'pages: loop {
            let page = store.load_live(shard, after, RECOVERY_PAGE).await?;
            let Some((key, _)) = page.last() else { break };
            after = Some(key.clone());
            for (key, loaded) in page {
                if key > last {
                    break 'pages;
                }
                publish(&loaded, directory)?;
            }
        }
    }
    Ok(())
}

/// Reads one of them again.
pub(crate) async fn read_one(
    store: &Arc<dyn Store>,
    shard_count: u16,
    directory: &ArcSwap<Directory>,
    organisation: OrganisationId,
) -> Result<(), ReadError> {
    let address = Address::Organisation(organisation);
    let loaded = store.load(shard_of(address, shard_count), key_of(address)).await?;
    publish(&loaded, directory)
}

fn publish(loaded: &Loaded, directory: &ArcSwap<Directory>) -> Result<(), ReadError> {
    let organisation: Organisation = state_of(loaded).map_err(|error| ReadError::Corrupt(format!("{error:?}")))?;
    if organisation.created {
        directory.rcu(|directory| directory.with(&organisation));
    }
    Ok(())
}
