//! Which sockets of this process belong to which account, so that nobody has too many.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jono_domain::id::{AgentId, CustomerId};

/// Whose sessions are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Account {
    Customer(CustomerId),
    Agent(AgentId),
}

/// The open sessions of this process. Holds nothing for accounts without one.
#[derive(Default)]
pub(super) struct Accounts {
    open: Mutex<HashMap<Account, Vec<u64>>>,
}

impl Accounts {
    /// The socket is a session of the account. The oldest of too many is named, and not counted any more.
    pub(super) fn enter(&self, account: Account, socket: u64, max: usize) -> Option<u64> {
        let mut open = self.lock();
        let sockets = open.entry(account).or_default();
        let superseded = (sockets.len() >= max.max(1)).then(|| sockets.remove(0));
        sockets.push(socket);
        superseded
    }

    /// The socket is closed.
    pub(super) fn leave(&self, account: Account, socket: u64) {
        let mut open = self.lock();
        if let Some(sockets) = open.get_mut(&account) {
            sockets.retain(|other| *other != socket);
            if sockets.is_empty() {
                open.remove(&account);
            }
        }
    }

    /// All open sessions, in an order that is the same in every run.
    pub(super) fn all(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.lock().values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Account, Vec<u64>>> {
        // Every step leaves the map whole, so a poisoned one is usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_gives_way() {
        let accounts = Accounts::default();
        let ann = Account::Agent(AgentId::from_bits(1));
        assert_eq!(accounts.enter(ann, 1, 2), None);
        assert_eq!(accounts.enter(ann, 2, 2), None);
        assert_eq!(accounts.enter(ann, 3, 2), Some(1));
        assert_eq!(accounts.enter(Account::Customer(CustomerId::from_bits(1)), 4, 2), None);
        accounts.leave(ann, 1);
        accounts.leave(ann, 2);
        assert_eq!(accounts.enter(ann, 5, 2), None);
        accounts.leave(ann, 3);
        accounts.leave(ann, 5);
        assert_eq!(accounts.all(), [4]);
    }
}
