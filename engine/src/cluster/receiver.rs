//! What a process does with what others send it: the reader of its box.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jono_domain::id::OrganisationId;
use jono_points::{KillPoint, pass};
use jono_store::{Exchange, NodeId, Position, ShardId};
use tokio::sync::mpsc;

use super::bus::ClusterBus;
use super::envelope::{Item, owners_of, unpack};
use super::incoming::{Arrival, Incoming};
use super::limits::{RECEIVE_PATIENCE_MS, SEND_AGAIN_AFTER_MS, TRIES_MAX};
use super::node::Event;
use super::settings;
use crate::arbiters::{Arbiters, Job};
use crate::delivery::Moved;
use crate::host::Common;

/// Reads what others send.
pub(super) struct Receiver {
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) common: Common,
    pub(super) bus: Arc<ClusterBus>,
    pub(super) arbiters: Arc<Arbiters>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Receiver {
    /// For ever, on the arbiter of the node.
    pub(super) async fn run(self) {
        let mut me = self.bus.me();
        let mut position = Position::START;
        let mut incoming = Incoming::default();
        loop {
            if me != self.bus.me() {
                me = self.bus.me();
                position = Position::START;
                incoming = Incoming::default();
            }
            match self.exchange.receive(me, position, Duration::from_millis(RECEIVE_PATIENCE_MS)).await {
                Ok(parcels) => {
                    for (at, parcel) in parcels {
                        position = at;
                        self.take(&parcel, &mut incoming).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the box could not be read");
                    let clock = &self.common.clock;
                    clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
                }
            }
        }
    }

    async fn take(&self, parcel: &Bytes, incoming: &mut Incoming) {
        let Some(parcel) = unpack(parcel) else {
            return tracing::error!("a parcel of another form: all processes must run one version");
        };
        pass(KillPoint::ParcelReceived);
        let from = parcel.stamp.from;
        if self.bus.is_gone(from) {
            // Others serve what it served, and have told how that is now: what it says is of before.
            return tracing::debug!(from = from.0, "a parcel comes too late: its sender has gone");
        }
        if self.bus.is_of_another_log(parcel.stamp) {
            // What it says and asks may rest on what is lost. Whoever has not noticed that is about to begin anew.
            return tracing::debug!(from = from.0, "a parcel of another log");
        }
        self.bus.meet(from, &self.exchange);
        match incoming.take(parcel.stamp) {
            Arrival::Next => {}
            Arrival::Again => return self.common.counters.parcels_again.add(1),
            Arrival::AfterGap => self.mend_gap(from).await,
        }
        for item in &parcel.items {
            match Item::decode(item) {
                Some(item) => {
                    self.take_item(from, item).await;
                    pass(KillPoint::ItemTaken);
                }
                None => tracing::error!("an item of another form: all processes must run one version"),
            }
        }
    }

    /// Parcels of that process were lost: requests come again by themselves; everything else is asked for, and what may have
    /// been asked for is given.
    async fn mend_gap(&self, from: NodeId) {
        tracing::warn!(from = from.0, "parcels of another process are missing");
        self.common.counters.parcels_missing.add(1);
        // Who follows is told anew, in full.
        self.arbiters.forget(from).await;
        self.bus.send_item(from, &Item::FollowAgain);
        let mine = self.owned_by(self.bus.me());
        self.bus.send_item(from, &Item::Announce(mine.shards().map(|shard| shard.0).collect()));
        let Common { store, shard_count, directory, .. } = &self.common;
        if let Err(error) = settings::read_all(store, *shard_count, directory).await {
            tracing::error!(%error, "settings could not be read: those at hand are used");
        }
        self.announce(&self.owned_by(from));
        self.follow_again();
        let _ = self.events.send(Event::Disturbed);
    }

    fn owned_by(&self, node: NodeId) -> Moved {
        let routes = self.bus.routes();
        let owned = routes.iter().enumerate().filter(|(_, route)| route.is_some_and(|(owner, _)| owner == node));
        Moved::new(owned.map(|(shard, _)| ShardId(shard as u16)), self.common.shard_count)
    }

    fn announce(&self, moved: &Moved) {
        self.bus.tell_again(moved);
        self.arbiters.tell(|| Job::Announce(moved.clone()));
    }

    /// All that they follow: they may have been led to something that they do not know of.
    fn follow_again(&self) {
        self.bus.local().moved(&Moved::everything(self.common.shard_count));
    }

    async fn take_item(&self, from: NodeId, item: Item) {
        match item {
            Item::Letter(letter) => self.bus.receive(letter),
            Item::Deliver(sessions, delivery) => self.bus.receive_deliveries(&sessions, delivery),
            Item::Settings(organisation) => self.read_settings(organisation).await,
            Item::Owners(owners) => {
                // The node lives as long as this.
                let _ = self.events.send(Event::Owners(owners_of(&owners)));
            }
            Item::Announce(shards) => self.announce(&Moved::new(shards.into_iter().map(ShardId), self.common.shard_count)),
            Item::FollowAgain => {
                tracing::debug!(from = from.0, "follows again");
                self.follow_again();
            }
        }
    }

    /// Before anything that was sent behind it: whoever changed settings and has the answer finds them changed.
    async fn read_settings(&self, organisation: OrganisationId) {
        let Common { store, shard_count, directory, clock, .. } = &self.common;
        for _ in 0..TRIES_MAX {
            match settings::read_one(store, *shard_count, directory, organisation).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "settings could not be read: tried again"),
            }
            clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
        }
        tracing::error!(?organisation, "settings could not be read: those at hand are used");
    }
}
