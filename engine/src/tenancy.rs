//! Shards come to an arbiter and go again. While a process is alone it owns all of them from its start to its end; among
//! others they move.

use std::cell::RefCell;
use std::rc::Rc;

use jono_domain::message::Address;
use jono_points::{KillPoint, pass};
use jono_store::{EntityKey, Epoch, ReadError, ShardId};
use tokio::sync::Notify;

use crate::delivery::{Moved, SessionRef};
use crate::entity::Parcel;
use crate::host::Host;
use crate::kind::address_of;
use crate::letter::Letter;
use crate::limits::{CLOSING_PATIENCE_MS, ORGANISATIONS_PAGE, RECOVERY_PAGE};
use crate::shard::Shard;

/// How often it is looked whether something is over.
const LOOK_EVERY_MS: u64 = 1;

/// Why a shard could not be brought back.
#[derive(Debug)]
pub(crate) enum AdoptError {
    /// The store could not be read.
    Read(ReadError),
    /// The store holds an entity that this Jono does not know.
    Unknown,
    /// It was lost meanwhile.
    Lost,
}

impl From<ReadError> for AdoptError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Shards that an arbiter is giving up: none comes again before nothing of it is left.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    under_way: RefCell<Vec<Moved>>,
    over: Notify,
}

impl Departures {
    fn begin(&self, moved: &Moved) {
        self.under_way.borrow_mut().push(moved.clone());
    }

    fn end(&self, moved: &Moved) {
        let mut under_way = self.under_way.borrow_mut();
        if let Some(at) = under_way.iter().position(|other| other == moved) {
            under_way.swap_remove(at);
        }
        self.over.notify_waiters();
    }

    async fn are_over(&self, shard: ShardId) {
        while self.under_way.borrow().iter().any(|moved| moved.holds_shard(shard)) {
            self.over.notified().await;
        }
    }
}

impl Host {
    /// This arbiter writes the shard under that epoch from now on.
    pub(crate) fn own(&self, shard: ShardId, epoch: Epoch) {
        self.shards.borrow_mut().insert(shard, Shard::new(epoch));
    }

    /// Brings back the shard's live entities; what fell due meanwhile fires. What is here under an earlier epoch goes first.
    pub(crate) async fn adopt(self: &Rc<Self>, shard: ShardId, epoch: Epoch) -> Result<(), AdoptError> {
        loop {
            self.departures.are_over(shard).await;
            match self.epoch_of(shard) {
                None => break,
                Some(known) if known >= epoch => return Err(AdoptError::Lost),
                Some(_) => self.leave(&Moved::new([shard], self.shard_count), false).await,
            }
        }
        self.own(shard, epoch);
        let read = self.recover_live(shard, None, None).await;
        if read.is_err() && self.epoch_of(shard) == Some(epoch) {
            self.leave(&Moved::new([shard], self.shard_count), false).await;
        }
        read
    }

    /// The epoch under which this arbiter writes the shard.
    pub(crate) fn epoch_of(&self, shard: ShardId) -> Option<Epoch> {
        self.shards.borrow().get(&shard).map(Shard::epoch)
    }

    /// Brings back live entities whose keys come after `after`, up to `last`, which is not far.
    pub(crate) async fn recover_live(
        self: &Rc<Self>,
        shard: ShardId,
        after: Option<EntityKey>,
        last: Option<&EntityKey>,
    ) -> Result<(), AdoptError> {
        let mut after = after;
        let page_max = if last.is_some() { ORGANISATIONS_PAGE } else { RECOVERY_PAGE };
        let epoch = self.epoch_of(shard);
        loop {
            let page = self.store.load_live(shard, after, page_max).await?;
            if self.epoch_of(shard) != epoch || epoch.is_none_or(|epoch| self.bus.is_outdated(shard, epoch)) {
                return Err(AdoptError::Lost);
            }
            let Some((key, _)) = page.last() else { return Ok(()) };
            after = Some(key.clone());
            let mut told = Vec::with_capacity(2 * page.len());
            for (key, loaded) in page {
                if last.is_some_and(|last| key > *last) {
                    return Ok(());
                }
                let address = address_of(&key).ok_or(AdoptError::Unknown)?;
                self.counters.recovered.add(1);
                self.recover(address, loaded, &mut told);
                pass(KillPoint::EntityRecovered);
            }
            self.tell_together(told);
            tokio::task::yield_now().await;
        }
    }

    /// Gives shards up: in order, when what was decided is committed first, or at once. When it resolves, nothing of
    /// them is left here.
    pub(crate) async fn leave(self: &Rc<Self>, moved: &Moved, is_orderly: bool) {
        self.departures.begin(moved);
        self.leave_all_of(moved, is_orderly).await;
        self.departures.end(moved);
    }

    async fn leave_all_of(self: &Rc<Self>, moved: &Moved, is_orderly: bool) {
        if is_orderly {
            self.shards
                .borrow_mut()
                .iter_mut()
                .filter(|(shard, _)| moved.holds_shard(**shard))
                .for_each(|(_, state)| state.close());
            let mut patience_ms = CLOSING_PATIENCE_MS;
            while !self.is_settled(moved) && patience_ms > 0 {
                self.clock.rest(LOOK_EVERY_MS).await;
                patience_ms -= LOOK_EVERY_MS;
            }
            pass(KillPoint::ShardsSettled);
        }
        let left: Vec<Shard> = {
            let mut shards = self.shards.borrow_mut();
            let left: Vec<ShardId> = shards.keys().copied().filter(|shard| moved.holds_shard(*shard)).collect();
            left.into_iter().filter_map(|shard| shards.remove(&shard)).collect()
        };
        for shard in left {
            let waiting = shard.into_waiting();
            if !waiting.is_empty() {
                self.failed(Vec::new(), waiting);
            }
        }
        self.asleep.addresses().into_iter().filter(|address| moved.holds(*address)).for_each(|address| {
            self.take_sleeper(address);
        });
        self.later.leave(moved);
        // Each finds that it is not owned any more, and goes.
        let residents = |host: &Host| -> Vec<Address> { host.addresses().filter(|address| moved.holds(*address)).collect() };
        residents(self).into_iter().for_each(|address| self.give(address, Parcel::Reload));
        while self.residents.borrow().keys().any(|address| moved.holds(*address)) {
            self.clock.rest(LOOK_EVERY_MS).await;
        }
        self.followers.borrow_mut().retain(|address, _| !moved.holds(*address));
    }

    fn is_settled(&self, moved: &Moved) -> bool {
        self.shards.borrow().iter().all(|(shard, state)| !moved.holds_shard(*shard) || state.is_idle())
    }

    /// In an order that is the same in every run.
    fn addresses(&self) -> impl Iterator<Item = Address> {
        let mut all: Vec<_> = self.residents.borrow().keys().copied().collect();
        all.sort_unstable();
        all.into_iter()
    }

    /// Everybody here tells those of these shards anew what they should know. Those who have come here with them tell
    /// everybody: what they said and asked before others knew where they are was answered elsewhere.
    pub(crate) async fn announce(self: &Rc<Self>, moved: &Moved) {
        let everywhere = Moved::everything(self.shard_count);
        let all: Vec<Address> = self.addresses().chain(self.asleep.addresses()).collect();
        for some in all.chunks(RECOVERY_PAGE) {
            let mut told = Vec::new();
            for address in some {
                let to = if moved.holds(*address) { &everywhere } else { moved };
                // Who has left meanwhile tells when it comes again.
                if let Some(resident) = self.residents.borrow().get(address) {
                    resident.put(Parcel::Announce(to.clone()));
                    pass(KillPoint::EntityAnnounced);
                    continue;
                }
                self.announce_asleep(*address, to, &mut told);
            }
            self.tell_together(told);
            tokio::task::yield_now().await;
        }
    }

    /// A process is gone, and with it its sessions.
    pub(crate) fn forget_sessions(self: &Rc<Self>, is_gone: impl Fn(SessionRef) -> bool) {
        let mut followed: Vec<_> =
            self.followers.borrow().iter().map(|(address, followers)| (*address, Rc::clone(followers))).collect();
        followed.sort_unstable_by_key(|(address, _)| *address);
        for (address, followers) in followed {
            let Some(gone) = followers.borrow_mut().forget(&is_gone) else { continue };
            // Where they were led to they are forgotten, too, but for those who ask for it themselves from now on.
            for (session, led) in gone {
                tracing::trace!(what = ?address, ?session, "is forgotten");
                for what in led.into_iter().map(Address::Conversation) {
                    let _ = self.bus.post(Letter::Unfollow { session, what, is_led: true });
                }
            }
            if self.residents.borrow().contains_key(&address) {
                self.give(address, Parcel::Recount);
            } else if followers.borrow().is_empty() {
                self.drop_followers(address);
            }
        }
    }
}
