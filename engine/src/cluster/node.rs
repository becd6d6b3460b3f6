//! The life of a process among others: it joins, beats, takes and gives back shards, and leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jono_domain::time::Time;
use jono_store::{Epoch, Exchange, ExchangeError, NodeId, Owner, Picture, ShardId};
use tokio::sync::{mpsc, oneshot, watch};

use super::bus::ClusterBus;
use super::card::{About, Card};
use super::envelope::{Item, owners_of, unpack};
use super::incoming::{Arrival, Incoming};
use super::limits::{
    ACQUIRE_AT_ONCE, ASKED_LOOK_EVERY_MS, BEAT_EVERY_MS, LEAVE_PATIENCE_MS, RECEIVE_PATIENCE_MS, SEND_AGAIN_AFTER_MS, STOP_AFTER_MS,
};
use super::link::Link;
use super::membership::{Membership, Orders};
use super::{ClusterConfig, settings};
use crate::delivery::Moved;
use crate::arbiters::{Arbiters, Job};
use crate::host::Common;

/// The rest of the process's side.
#[derive(Clone)]
pub(crate) struct NodeHandle {
    events: mpsc::UnboundedSender<Event>,
    log_identity: Arc<AtomicU64>,
    serving: watch::Receiver<bool>,
}

impl NodeHandle {
    /// The identity of the log, as it is now.
    pub(crate) fn log_identity(&self) -> u64 {
        self.log_identity.load(Ordering::Relaxed)
    }

    /// Every shard has an owner, and this process is in touch.
    pub(crate) fn is_serving(&self) -> bool {
        *self.serving.borrow()
    }

    /// Resolves when every shard has an owner.
    pub(crate) async fn serves(&mut self) {
        // The node lives as long as the process.
        let _ = self.serving.wait_for(|serving| *serving).await;
    }

    /// Gives everything back and is no member any more when it resolves.
    pub(crate) async fn leave(&self) {
        let (done, gone) = oneshot::channel();
        if self.events.send(Event::Leave(done)).is_ok() {
            let _ = gone.await;
        }
    }
}

/// What a node hears besides pictures.
#[derive(Debug)]
enum Event {
    /// From others: owners have changed.
    Owners(Vec<(ShardId, Owner)>),
    /// A shard is served here now, or was not acquired.
    Acquired { shard: ShardId, epoch: Option<Epoch>, round: u64 },
    /// Shards are not served here any more.
    Left { shards: Moved, is_orderly: bool },
    /// The process ends.
    Leave(oneshot::Sender<()>),
}

/// One process.
pub(crate) struct Node {
    config: ClusterConfig,
    common: Common,
    bus: Arc<ClusterBus>,
    arbiters: Arc<Arbiters>,
    started_at: Time,
    membership: Membership,
    is_leaving: bool,
    /// Counts up when everything is dropped: what was begun before then is of no worth.
    round: u64,
    is_stopped: bool,
    log_identity: Arc<AtomicU64>,
    serving: watch::Sender<bool>,
    events: mpsc::UnboundedSender<Event>,
    gone: mpsc::UnboundedSender<NodeId>,
    beaten_until: Time,
}

impl Node {
    /// Joins; afterwards `run` is called on the same arbiter.
    pub(crate) async fn join(
        config: ClusterConfig,
        common: Common,
        bus: Arc<ClusterBus>,
        arbiters: Arc<Arbiters>,
        identity: u64,
    ) -> Result<(NodeHandle, impl Future<Output = ()>), ExchangeError> {
        let (events, heard) = mpsc::unbounded_channel();
        let (gone, gone_heard) = mpsc::unbounded_channel();
        let (serving, is_serving) = watch::channel(false);
        let started_at = common.clock.now();
        let mut node = Node {
            membership: Membership::new(NodeId(0), common.shard_count),
            started_at,
            beaten_until: started_at,
            is_leaving: false,
            round: 0,
            is_stopped: false,
            log_identity: Arc::new(AtomicU64::new(identity)),
            serving,
            events: events.clone(),
            gone,
            config,
            common,
            bus,
            arbiters,
        };
        node.become_member().await?;
        let handle = NodeHandle { events, log_identity: Arc::clone(&node.log_identity), serving: is_serving };
        let receiver = Receiver::new(&node, gone_heard);
        Ok((handle, async move {
            actix_rt::spawn(receiver.run());
            actix_rt::spawn(look_through_asked(Arc::clone(&node.bus), Arc::clone(&node.common.clock)));
            node.run(heard).await;
        }))
    }

    async fn become_member(&mut self) -> Result<(), ExchangeError> {
        let me = self.config.exchange.join(self.card().encode()).await?;
        tracing::info!(node = me.0, "joined");
        self.membership = Membership::new(me, self.common.shard_count);
        self.bus.become_member(me);
        Ok(())
    }

    fn card(&self) -> Card {
        let counters = &self.common.counters;
        Card {
            serves_shards: self.config.serves_shards,
            serves_clients: self.config.serves_clients,
            is_leaving: self.is_leaving,
            about: About {
                name: self.config.name.clone(),
                version: self.config.version.clone(),
                up_s: self.common.clock.now().since_ms(self.started_at) / 1000,
                entities: counters.entities_loaded.get(),
                asked: self.bus.asked_count() as u64,
                letters_waiting: self.bus.local().waiting() as u64,
                sending_bytes: self.bus.sending_bytes(),
                commits_fenced: counters.commits_fenced.get(),
            },
        }
    }

    fn beat(&self) -> BoxFuture<'static, (Time, Result<Picture, ExchangeError>)> {
        let sent_at = self.common.clock.now();
        let beat = self.config.exchange.beat(self.bus.me(), self.card().encode(), self.membership.owners_version());
        Box::pin(async move { (sent_at, beat.await) })
    }

    async fn run(mut self, mut heard: mpsc::UnboundedReceiver<Event>) {
        let clock = Arc::clone(&self.common.clock);
        let mut beat = Some(self.beat());
        let mut next_beat = clock.now();
        let mut leaving: Option<(oneshot::Sender<()>, Time)> = None;
        loop {
            tokio::select! {
                (sent_at, picture) = async { match &mut beat { Some(beat) => beat.await, None => std::future::pending().await } } => {
                    beat = None;
                    next_beat = clock.now() + BEAT_EVERY_MS;
                    self.beaten(sent_at, picture).await;
                }
                event = heard.recv() => match event {
                    None => return,
                    Some(Event::Leave(done)) => {
                        self.is_leaving = true;
                        leaving = Some((done, clock.now() + LEAVE_PATIENCE_MS));
                        beat = Some(self.beat());
                    }
                    Some(event) => {
                        // What has come meanwhile is told to the others together.
                        let mut events = vec![event];
                        while events.len() < usize::from(self.common.shard_count) && let Ok(event) = heard.try_recv() {
                            if let Event::Leave(done) = event {
                                self.is_leaving = true;
                                leaving = Some((done, clock.now() + LEAVE_PATIENCE_MS));
                            } else {
                                events.push(event);
                            }
                        }
                        self.take(events);
                    }
                },
                () = clock.sleep_until(next_beat), if beat.is_none() => beat = Some(self.beat()),
            }
            if clock.now() >= self.beaten_until && !self.is_stopped {
                self.stop_serving();
            }
            if let Some((_, patience)) = &leaving
                && (self.membership.holds_nothing() || !self.has_heirs() || clock.now() > *patience)
                && let Some((done, _)) = leaving.take()
            {
                self.end().await;
                let _ = done.send(());
                return;
            }
        }
    }

    /// Somebody else can own what this process gives back.
    fn has_heirs(&self) -> bool {
        self.membership.has_other_engines()
    }

    async fn beaten(&mut self, sent_at: Time, picture: Result<Picture, ExchangeError>) {
        let now = self.common.clock.now();
        match picture {
            Ok(picture) => {
                self.beaten_until = sent_at + STOP_AFTER_MS;
                self.common.tenure.extend(self.beaten_until);
                if std::mem::replace(&mut self.is_stopped, now >= self.beaten_until) {
                    tracing::info!("in touch again");
                }
                let identity = picture.log_identity;
                if self.log_identity.swap(identity, Ordering::Relaxed) != identity {
                    tracing::error!("records that were confirmed may have been lost: all sessions begin anew");
                    self.drop_everything();
                    self.bus.local().reset();
                }
                let orders = self.membership.look(picture, now.0);
                self.carry_out(orders);
            }
            Err(ExchangeError::Gone) => self.rejoin().await,
            Err(error) => tracing::debug!(%error, "a beat was not confirmed"),
        }
    }

    /// The others have given this process up, or the exchange has forgotten everybody: it begins anew, as another member.
    async fn rejoin(&mut self) {
        tracing::warn!(node = self.bus.me().0, "is no member any more: begins anew");
        self.common.tenure.extend(Time(0));
        self.drop_everything();
        self.bus.give_up();
        self.bus.links().values().for_each(|link| link.cut());
        self.bus.set_links(HashMap::new());
        let _ = self.bus.set_routes(vec![None; usize::from(self.common.shard_count)]);
        if let Err(error) = self.become_member().await {
            tracing::warn!(%error, "cannot join");
            return;
        }
        self.read_settings().await;
        // Sessions were known under the old number.
        self.bus.local().reset();
    }

    async fn read_settings(&self) {
        let Common { store, shard_count, directory, .. } = &self.common;
        if let Err(error) = settings::read_all(store, *shard_count, directory).await {
            tracing::error!(%error, "settings could not be read: those at hand are used");
        }
    }

    // ---- shards

    fn carry_out(&mut self, orders: Orders) {
        let Orders { acquire, release, lost, gone, dead } = orders;
        for node in gone {
            tracing::info!(node = node.0, dead = dead.contains(&node), "a process is gone");
            let _ = self.gone.send(node);
            self.arbiters.tell(|| Job::Forget(node));
        }
        self.set_links();
        if !lost.is_empty() {
            tracing::warn!(shards = lost.len(), "another process owns shards of this one");
            self.leave_shards(lost, false);
        }
        if !release.is_empty() {
            self.leave_shards(release, true);
        }
        self.acquire(acquire, dead);
        self.set_routes();
    }

    fn acquire(&mut self, shards: Vec<ShardId>, dead: Vec<NodeId>) {
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
                            Ok(epoch) => arbiters.adopt(shard, epoch).await.then_some(epoch),
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

    fn leave_shards(&self, shards: Vec<ShardId>, is_orderly: bool) {
        let (arbiters, events) = (Arc::clone(&self.arbiters), self.events.clone());
        let shards = Moved::new(shards, self.common.shard_count);
        self.common.counters.shards_left.add(shards.shards().count() as u64);
        actix_rt::spawn(async move {
            arbiters.leave(&shards, is_orderly).await;
            let _ = events.send(Event::Left { shards, is_orderly });
        });
    }

    fn take(&mut self, events: Vec<Event>) {
        let mut published = Vec::new();
        for event in events {
            match event {
                Event::Owners(owners) => {
                    let orders = self.membership.hear(&owners);
                    self.carry_out(orders);
                }
                Event::Acquired { shard, epoch, round } if round != self.round => {
                    if epoch.is_some() {
                        self.leave_shards(vec![shard], false);
                    }
                }
                Event::Acquired { shard, epoch: Some(epoch), .. } => {
                    self.common.counters.shards_acquired.add(1);
                    self.membership.owned(shard, epoch);
                    published.push((shard, Owner { node: Some(self.bus.me()), epoch }));
                }
                Event::Acquired { shard, epoch: None, .. } => self.membership.dropped(shard),
                Event::Left { shards, is_orderly: true } => {
                    for shard in shards.shards() {
                        if let Some(epoch) = self.membership.epoch_of(shard) {
                            self.membership.released(shard, epoch);
                            published.push((shard, Owner { node: None, epoch }));
                        }
                    }
                }
                Event::Left { .. } => {}
                Event::Leave(_) => {}
            }
        }
        if !published.is_empty() {
            self.publish(published);
        }
        self.set_routes();
    }

    /// Owners are told to everybody at once; the picture is for those who come later, or did not hear.
    fn publish(&self, owners: Vec<(ShardId, Owner)>) {
        self.bus.publish_owners(&owners);
        let (exchange, clock) = (Arc::clone(&self.config.exchange), Arc::clone(&self.common.clock));
        actix_rt::spawn(async move {
            for _ in 0..20 {
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

    fn set_links(&self) {
        let before = self.bus.links();
        let me = self.bus.me();
        let others: Vec<NodeId> = self.membership.members().filter(|node| *node != me).collect();
        if others.len() == before.len() && others.iter().all(|node| before.contains_key(node)) {
            return;
        }
        before.iter().filter(|(node, _)| !others.contains(node)).for_each(|(_, link)| link.cut());
        let link = |node: NodeId| match before.get(&node) {
            Some(link) => Arc::clone(link),
            None => Link::open(Arc::clone(&self.config.exchange), Arc::clone(&self.common.clock), me, node),
        };
        self.bus.set_links(others.into_iter().map(|node| (node, link(node))).collect());
    }

    fn set_routes(&self) {
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
            self.bus.owners_changed(&moved);
            self.arbiters.tell(|| Job::Announce(moved.clone()));
            self.bus.local().moved(&moved);
        }
    }

    /// The last confirmed beat is too old: others may be about to take over.
    fn stop_serving(&mut self) {
        tracing::error!("the others cannot be reached: this process serves nothing until they can");
        self.common.counters.stops.add(1);
        self.is_stopped = true;
        self.drop_everything();
        self.bus.give_up();
    }

    fn drop_everything(&mut self) {
        self.round += 1;
        self.membership.stopped();
        let all = (0..self.common.shard_count).map(ShardId).collect();
        self.leave_shards(all, false);
        self.set_routes();
    }

    /// Nobody needs this process any more.
    async fn end(&mut self) {
        let all = Moved::new((0..self.common.shard_count).map(ShardId), self.common.shard_count);
        self.arbiters.leave(&all, true).await;
        let held = all.shards().filter_map(|shard| Some((shard, self.membership.epoch_of(shard)?)));
        let owners: Vec<_> = held.map(|(shard, epoch)| (shard, Owner { node: None, epoch })).collect();
        if !owners.is_empty() {
            self.bus.publish_owners(&owners);
            if let Err(error) = self.config.exchange.publish_owners(owners).await {
                tracing::warn!(%error, "owners could not be published");
            }
        }
        // What waits is sent before the box of this process goes.
        let patience = self.common.clock.now() + SEND_AGAIN_AFTER_MS * 10;
        while self.bus.sending_bytes() > 0 && self.common.clock.now() < patience {
            self.common.clock.sleep_until(self.common.clock.now() + 1).await;
        }
        if let Err(error) = self.config.exchange.remove(self.bus.me()).await {
            tracing::warn!(%error, "could not leave in order: the others will find out");
        }
    }
}

async fn look_through_asked(bus: Arc<ClusterBus>, clock: Arc<dyn crate::clock::Clock>) {
    loop {
        clock.sleep_until(clock.now() + ASKED_LOOK_EVERY_MS).await;
        bus.look_through_asked();
    }
}

/// Reads what others send.
struct Receiver {
    exchange: Arc<dyn Exchange>,
    common: Common,
    bus: Arc<ClusterBus>,
    arbiters: Arc<Arbiters>,
    incoming: Incoming,
    events: mpsc::UnboundedSender<Event>,
    gone: mpsc::UnboundedReceiver<NodeId>,
}

impl Receiver {
    fn new(node: &Node, gone: mpsc::UnboundedReceiver<NodeId>) -> Self {
        Self {
            exchange: Arc::clone(&node.config.exchange),
            common: node.common.clone(),
            bus: Arc::clone(&node.bus),
            arbiters: Arc::clone(&node.arbiters),
            incoming: Incoming::default(),
            events: node.events.clone(),
            gone,
        }
    }

    async fn run(mut self) {
        let mut me = self.bus.me();
        let mut position = jono_store::Position::START;
        loop {
            if me != self.bus.me() {
                me = self.bus.me();
                position = jono_store::Position::START;
                self.incoming = Incoming::default();
            }
            let patience = std::time::Duration::from_millis(RECEIVE_PATIENCE_MS);
            match self.exchange.receive(me, position, patience).await {
                Ok(parcels) => {
                    for (at, parcel) in parcels {
                        position = at;
                        self.take(&parcel).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the box could not be read");
                    let clock = &self.common.clock;
                    clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
                }
            }
            while let Ok(node) = self.gone.try_recv() {
                self.incoming.forget(node);
            }
        }
    }

    async fn take(&mut self, parcel: &Bytes) {
        let Some(parcel) = unpack(parcel) else {
            tracing::error!("a parcel of another form: all processes must run one version");
            return;
        };
        match self.incoming.take(parcel.from, parcel.number) {
            Arrival::Next => {}
            Arrival::Again => return self.common.counters.parcels_again.add(1),
            Arrival::AfterGap => self.mend_gap(parcel.from).await,
        }
        for item in &parcel.items {
            match Item::decode(item) {
                Some(item) => self.take_item(parcel.from, item).await,
                None => tracing::error!("an item of another form: all processes must run one version"),
            }
        }
    }

    /// Parcels of that process were lost: requests come again by themselves; everything else is asked for.
    async fn mend_gap(&self, from: NodeId) {
        tracing::warn!(from = from.0, "parcels of another process are missing");
        self.common.counters.parcels_missing.add(1);
        // Who follows is told anew, in full.
        self.arbiters.forget(from).await;
        self.bus.send_item(from, &Item::FollowAgain);
        let mine = self.owned_by(self.bus.me());
        self.bus.send_item(from, &Item::Announce(mine.shards().map(|shard| shard.0).collect()));
        self.bus.local().moved(&self.owned_by(from));
    }

    fn owned_by(&self, node: NodeId) -> Moved {
        let routes = self.bus.routes();
        let owned = routes.iter().enumerate().filter(|(_, route)| route.is_some_and(|(owner, _)| owner == node));
        Moved::new(owned.map(|(shard, _)| ShardId(shard as u16)), self.common.shard_count)
    }

    async fn take_item(&self, from: NodeId, item: Item) {
        match item {
            Item::Letter(letter) => self.bus.receive(letter),
            Item::Deliver(sessions, delivery) => self.bus.receive_deliveries(&sessions, delivery),
            Item::Settings(organisation) => self.read_settings(organisation).await,
            Item::Owners(owners) => {
                let _ = self.events.send(Event::Owners(owners_of(&owners)));
            }
            Item::Announce(shards) => {
                let moved = Moved::new(shards.into_iter().map(ShardId), self.common.shard_count);
                self.bus.owners_changed(&moved);
                self.arbiters.tell(|| Job::Announce(moved.clone()));
            }
            Item::FollowAgain => self.bus.local().moved(&self.owned_by(from)),
        }
    }

    /// Before anything that was sent behind it: whoever changed settings and has the answer finds them changed.
    async fn read_settings(&self, organisation: jono_domain::id::OrganisationId) {
        let Common { store, shard_count, directory, clock, .. } = &self.common;
        for _ in 0..20 {
            match settings::read_one(store, *shard_count, directory, organisation).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "settings could not be read: tried again"),
            }
            clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
        }
        tracing::error!(?organisation, "settings could not be read: those at hand are used");
    }
}
