//! The entities whose records do not read: named once in the log, refused from then on.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use crate::EntityKey;

/// Names kept. Damage of more entities than this is a broken disk, and the rest is still found out
/// at each load.
const DAMAGED_MAX: usize = 10_000;

/// The quarantine. Shared by the threads of one store.
#[derive(Debug, Default)]
pub(super) struct Damage(RwLock<BTreeSet<EntityKey>>);

impl Damage {
    /// Adds an entity; logs it when it is new.
    pub(super) fn quarantine(&self, entity: &EntityKey, what: &str) {
        let mut damaged = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if damaged.len() < DAMAGED_MAX && damaged.insert(entity.clone()) {
            let entity = entity.0.escape_ascii().to_string();
            tracing::error!(entity, what, "stored entity is damaged and put into quarantine");
        }
    }

    pub(super) fn contains(&self, entity: &EntityKey) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(entity)
    }

    pub(super) fn list(&self) -> Vec<EntityKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
