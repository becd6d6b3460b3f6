//! What a process does with shards: takes over what it should own, gives back what others should, and tells everybody.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{NodeId, Owner, ShardId};

use super::limits::{ACQUIRE_AT_ONCE, SEND_AGAIN_AFTER_MS, TRIES_MAX};
use super::membership::Orders;
use super::node::{Event, Node};
use crate::arbiters::Job;
use crate::delivery::Moved;

impl Node {
    pub(super) fn carry_out(&mut self, orders: Orders) {
        let Orders { acquire, release, disown, lost, gone, dead } = orders;
        self.set_links();
        for node in gone {
            tracing::info!(node = node.0, dead = dead.contains(&node), "a process is gone");
            if !is_broken(Rule::SessionsDieWithTheirGateway) {
                self.arbiters.tell(|| Job::Forget(node));
            }
        }
        if !lost.is_empty() {
            tracing::warn!(shards = lost.len(), "another process owns shards of this one");
            self.leave_shards(lost, false);
        }
        if !release.is_empty() {
            self.leave_shards(release, true);
        }
        if !disown.is_empty() {
            self.publish(disown.into_iter().map(|(shard, epoch)| (shard, Owner { node: None, epoch })).collect());
        }
        self.acquire(acquire, dead);
        self.set_routes();
    }

    fn acquire(&self, shards: Vec<ShardId>, dead: Vec<NodeId>) {
        if shards.is_empty() && dead.is_empty() {
            return;
        }
        let (exchange, store) = (Arc::clone(&self.config.exchange), Arc::clone(&self.common.store));
        let (events, arbiters, round) = (self.events.clone(), Arc::clone(&self.arbiters), self.round);
        actix_rt::spawn(async move {
            for node in dead {
                // First: should it come back, it learns that it is none any more before it does anything.
                if let Err(error) = exchange.remove(node).await {
                    tracing::warn!(node = node.0, %error, "a dead process could not be removed");
                }
            }
            let mut waiting = shards.into_iter();
            let mut under_way = FuturesUnordered::new();
            loop {
                while under_way.len() < ACQUIRE_AT_ONCE
                    && let Some(shard) = waiting.next()
                {
                    let (store, arbiters) = (Arc::clone(&store), Arc::clone(&arbiters));
                    under_way.push(async move {
                        let epoch = match store.acquire(shard).await {
                            Ok(epoch) => {
                                pass(KillPoint::ShardAcquired);
                                let is_adopted = arbiters.adopt(shard, epoch).await;
                                pass(KillPoint::ShardAdopted);
                                is_adopted.then_some(epoch)
                            }
                            Err(error) => {
                                tracing::warn!(shard = shard.0, %error, "a shard could not be acquired");
                                None
                            }
                        };
                        (shard, epoch)
                    });
                }
                let Some((shard, epoch)) = under_way.next().await else { return };
                let _ = events.send(Event::Acquired { shard, epoch, round });
            }
        });
    }

    /// In order, when what was decided is committed first and the node hears of the end; or at once.
    pub(super) fn leave_shards(&self, shards: Vec<ShardId>, is_orderly: bool) {
        let (arbiters, events, round) = (Arc::clone(&self.arbiters), self.events.clone(), self.round);
        let shards = Moved::new(shards, self.common.shard_count);
        self.common.counters.shards_left.add(shards.shards().count() as u64);
        // Before anything that is begun after this.
        let left = arbiters.leave(&shards, is_orderly);
        if is_orderly {
            actix_rt::spawn(async move {
                left.await;
                let _ = events.send(Event::Left { shards, round });
            });
        }
    }

    pub(super) fn take(&mut self, events: Vec<Event>) {
        let mut published = Vec::new();
        for event in events {
            match event {
                Event::Owners(owners) if self.is_stopped => self.membership.note(&owners),
                Event::Owners(owners) => {
                    let orders = self.membership.hear(&owners);
                    self.carry_out(orders);
                }
                Event::Acquired { shard, epoch: None, round } => {
                    if round == self.round {
                        self.membership.dropped(shard);
                    }
                }
                Event::Acquired { shard, epoch: Some(epoch), round } if round == self.round => {
                    self.common.counters.shards_acquired.add(1);
                    self.membership.owned(shard, epoch);
                    published.push((shard, Owner { node: Some(self.bus.me()), epoch }));
                }
                Event::Acquired { shard, epoch: Some(epoch), .. } => {
                    if self.membership.owned_in_vain(shard, epoch) {
                        self.leave_shards(vec![shard], false);
                    }
                }
                Event::Left { shards, round } => {
                    // Since then everything was dropped; what is owned now was acquired anew.
                    if round == self.round {
                        published.extend(self.given_back(&shards));
                    }
                }
                Event::Disturbed => self.disturbed(),
                Event::Leave(done) => self.begin_to_leave(done),
            }
        }
        if !published.is_empty() {
            let is_taken = published.iter().any(|(_, owner)| owner.node.is_some());
            pass(if is_taken { KillPoint::ShardOwned } else { KillPoint::ShardsLeft });
            self.publish(published);
        }
        self.set_routes();
    }

    fn given_back(&mut self, shards: &Moved) -> Vec<(ShardId, Owner)> {
        let held: Vec<_> = shards.shards().filter_map(|shard| Some((shard, self.membership.epoch_of(shard)?))).collect();
        held.iter().for_each(|(shard, epoch)| self.membership.released(*shard, *epoch));
        held.into_iter().map(|(shard, epoch)| (shard, Owner { node: None, epoch })).collect()
    }

    /// Owners are told to everybody at once; the picture is for those who come later, or did not hear.
    fn publish(&self, owners: Vec<(ShardId, Owner)>) {
        self.bus.publish_owners(&owners);
        pass(KillPoint::OwnersTold);
        let (exchange, clock) = (Arc::clone(&self.config.exchange), Arc::clone(&self.common.clock));
        actix_rt::spawn(async move {
            for _ in 0..TRIES_MAX {
                match exchange.publish_owners(owners.clone()).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%error, "owners could not be published");
                        clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
                    }
                }
            }
        });
    }

    /// At the end, also what nobody is there to take.
    pub(super) async fn give_back_the_rest(&mut self) {
        let all = Moved::everything(self.common.shard_count);
        self.arbiters.leave(&all, true).await;
        let owners = self.given_back(&all);
        if !owners.is_empty() {
            self.bus.publish_owners(&owners);
            if let Err(error) = self.config.exchange.publish_owners(owners).await {
                tracing::warn!(%error, "owners could not be published");
            }
        }
    }

    fn set_links(&self) {
        let before = self.bus.links();
        let me = self.bus.me();
        let newest = self.membership.members().fold(self.bus.newest(), NodeId::max);
        // Those who came after the picture, and have written already, will be in the next.
        let met = before.keys().copied().filter(|node| *node > newest);
        let others: Vec<NodeId> = self.membership.members().filter(|node| *node != me).chain(met).collect();
        if others.len() == before.len() && others.iter().all(|node| before.contains_key(node)) {
            return self.bus.seen(newest);
        }
        before.iter().filter(|(node, _)| !others.contains(node)).for_each(|(_, link)| link.cut());
        let link = |node: NodeId| match before.get(&node) {
            Some(link) => Arc::clone(link),
            None => self.bus.open_link(node, &self.config.exchange),
        };
        self.bus.set_links(others.into_iter().map(|node| (node, link(node))).collect());
        // Behind the ways: whoever is seen and has none is gone.
        self.bus.seen(newest);
    }

    pub(super) fn set_routes(&mut self) {
        let mut routes = vec![None; usize::from(self.common.shard_count)];
        for (shard, node, epoch) in self.membership.routes() {
            // What this process does not serve (any more), it does not send to itself.
            let is_served = node != self.bus.me() || self.membership.epoch_of(shard) == Some(epoch);
            if is_served && let Some(route) = routes.get_mut(usize::from(shard.0)) {
                *route = Some((node, epoch));
            }
        }
        let is_serving = !self.is_stopped && routes.iter().all(Option::is_some);
        let moved = self.bus.set_routes(routes);
        self.serving.send_if_modified(|serving| std::mem::replace(serving, is_serving) != is_serving);
        if !moved.is_empty() {
            let shards: Vec<u16> = moved.shards().map(|shard| shard.0).collect();
            tracing::trace!(node = self.bus.me().0, ?shards, routes = ?self.bus.routes(), "owners have changed");
            self.disturbed();
            self.bus.owners_changed(&moved);
            self.arbiters.tell(|| Job::Announce(moved.clone()));
            self.bus.local().moved(&moved);
        }
    }
}
