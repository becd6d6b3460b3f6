//! The settings of all organisations, read from the store by a process that need not own them.

use std::collections::BTreeSet;
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

/// Reads all of them. Those that were known and are not there, since the store has lost them, are known no more.
pub(crate) async fn read_all(store: &Arc<dyn Store>, shard_count: u16, directory: &ArcSwap<Directory>) -> Result<(), ReadError> {
    let last = last_organisation_key();
    // Before the first is read: one that is made meanwhile is not among them.
    let mut lost: BTreeSet<OrganisationId> = directory.load().organisations().map(|organisation| organisation.id).collect();
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
                if let Some(found) = publish(&loaded, directory)? {
                    lost.remove(&found);
                }
            }
        }
    }
    for organisation in lost {
        tracing::warn!(%organisation, "an organisation is not in the store any more");
        directory.rcu(|directory| directory.without(organisation));
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
    publish(&loaded, directory).map(drop)
}

/// Says which organisation it is, if it is one.
fn publish(loaded: &Loaded, directory: &ArcSwap<Directory>) -> Result<Option<OrganisationId>, ReadError> {
    let organisation: Organisation = state_of(loaded).map_err(|error| ReadError::Corrupt(format!("{error:?}")))?;
    if organisation.created {
        directory.rcu(|directory| directory.with(&organisation));
    }
    Ok(organisation.created.then_some(organisation.id))
}
