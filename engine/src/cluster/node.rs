//! The life of a process among others: it joins, beats, stops when it is out of touch, begins anew, and leaves. What it does
//! with shards meanwhile is in `holding`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use jono_domain::time::Time;
use jono_points::{KillPoint, pass};
use jono_store::{Epoch, ExchangeError, NodeId, Owner, Picture, ShardId};
use tokio::sync::{mpsc, oneshot, watch};

use super::bus::ClusterBus;
use super::card::{About, Card};
use super::limits::{
    ASKED_LOOK_EVERY_MS, BEAT_EVERY_MS, CALM_AFTER_MS, IDLE_LOOK_EVERY_MS, LAST_WORDS_PATIENCE_MS, LEAVE_PATIENCE_MS,
    SETTLED_AFTER_BEATS, STOP_AFTER_MS,
};
use super::membership::Membership;
use super::receiver::Receiver;
use super::{ClusterConfig, settings};
use crate::arbiters::{Arbiters, Job};
use crate::clock::Clock;
use crate::constants::{Constants, Restored};
use crate::delivery::Moved;
use crate::host::Common;

/// The rest of the process's side.
#[derive(Clone)]
pub(crate) struct NodeHandle {
    events: mpsc::UnboundedSender<Event>,
    log_identity: Arc<AtomicU64>,
    serving: watch::Receiver<bool>,
    outlived: watch::Receiver<bool>,
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

    /// Resolves when others have begun anew on the store.
    pub(crate) async fn outlived(&mut self) {
        // The node lives as long as the process.
        let _ = self.outlived.wait_for(|outlived| *outlived).await;
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
pub(super) enum Event {
    /// From others: owners have changed.
    Owners(Vec<(ShardId, Owner)>),
    /// A shard is served here now, or was not acquired.
    Acquired { shard: ShardId, epoch: Option<Epoch>, round: u64 },
    /// Shards were given back in order.
    Left { shards: Moved, round: u64 },
    /// What another process sent was lost.
    Disturbed,
    /// The process ends.
    Leave(oneshot::Sender<()>),
}

/// It is about to end: whom to tell, and how long it may take.
struct Leaving {
    done: oneshot::Sender<()>,
    patience: Time,
}

/// One process.
pub(crate) struct Node {
    pub(super) config: ClusterConfig,
    pub(super) common: Common,
    pub(super) bus: Arc<ClusterBus>,
    pub(super) arbiters: Arc<Arbiters>,
    pub(super) membership: Membership,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Counts up when everything is dropped: what was begun before then is of no worth.
    pub(super) round: u64,
    /// Out of touch with the others, so it serves nothing.
    pub(super) is_stopped: bool,
    pub(super) serving: watch::Sender<bool>,
    started_at: Time,
    leaving: Option<Leaving>,
    /// If nothing happens until then, the disturbance is over.
    calm_at: Option<Time>,
    /// The last confirmed beat counts until then.
    beaten_until: Time,
    /// Confirmed ones, as this member.
    beats: u32,
    log_identity: Arc<AtomicU64>,
    constants: Constants,
    /// Others have begun anew on the store, with other constants.
    outlived: watch::Sender<bool>,
}

impl Node {
    /// Joins; afterwards `run` is called on the same arbiter.
    pub(crate) async fn join(
        config: ClusterConfig,
        common: Common,
        bus: Arc<ClusterBus>,
        arbiters: Arc<Arbiters>,
        constants: Constants,
    ) -> Result<(NodeHandle, impl Future<Output = ()>), ExchangeError> {
        let (events, heard) = mpsc::unbounded_channel();
        let (serving, is_serving) = watch::channel(false);
        let (outlived, is_outlived) = watch::channel(false);
        let started_at = common.clock.now();
        let mut node = Node {
            membership: Membership::new(NodeId(0), common.shard_count),
            round: 0,
            is_stopped: true,
            serving,
            started_at,
            leaving: None,
            calm_at: None,
            beaten_until: started_at,
            beats: 0,
            log_identity: Arc::new(AtomicU64::new(constants.log_identity)),
            constants,
            outlived,
            events: events.clone(),
            config,
            common,
            bus,
            arbiters,
        };
        node.become_member().await?;
        let log_identity = Arc::clone(&node.log_identity);
        let handle = NodeHandle { events, log_identity, serving: is_serving, outlived: is_outlived };
        Ok((handle, async move {
            let receiver = Receiver {
                exchange: Arc::clone(&node.config.exchange),
                common: node.common.clone(),
                bus: Arc::clone(&node.bus),
                arbiters: Arc::clone(&node.arbiters),
                events: node.events.clone(),
            };
            actix_rt::spawn(receiver.run());
            actix_rt::spawn(look_through_asked(Arc::clone(&node.bus), Arc::clone(&node.common.clock)));
            node.run(heard).await;
        }))
    }

    async fn become_member(&mut self) -> Result<(), ExchangeError> {
        let me = self.config.exchange.join(self.card().encode()).await?;
        pass(KillPoint::MemberJoined);
        tracing::info!(node = me.0, "joined");
        self.membership = Membership::new(me, self.common.shard_count);
        self.beats = 0;
        self.bus.become_member(me);
        Ok(())
    }

    fn card(&self) -> Card {
        let counters = &self.common.counters;
        Card {
            serves_shards: self.config.serves_shards,
            serves_clients: self.config.serves_clients,
            is_leaving: self.leaving.is_some(),
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
        loop {
            let alarm = self.alarm();
            tokio::select! {
                // Whatever there is to hear, it beats.
                biased;
                (sent_at, picture) = async { match &mut beat { Some(beat) => beat.await, None => std::future::pending().await } } => {
                    beat = None;
                    next_beat = clock.now() + BEAT_EVERY_MS;
                    self.beaten(sent_at, picture).await;
                }
                () = clock.sleep_until(next_beat), if beat.is_none() => beat = Some(self.beat()),
                // However long an answer takes.
                () = async { match alarm { Some(at) => clock.sleep_until(at).await, None => std::future::pending().await } } => {}
                event = heard.recv() => {
                    let Some(event) = event else { return };
                    // What has come meanwhile is told to the others together.
                    let mut events = vec![event];
                    while events.len() < usize::from(self.common.shard_count) && let Ok(event) = heard.try_recv() {
                        events.push(event);
                    }
                    self.take(events);
                }
            }
            self.stop_if_out_of_touch();
            if self.calm_at.take_if(|at| clock.now() >= *at).is_some() {
                self.arbiters.tell(|| Job::Announce(Moved::everything(self.common.shard_count)));
            }
            if let Some(leaving) = self.leaving.take_if(|leaving| {
                self.membership.holds_nothing() || !self.membership.has_other_engines() || clock.now() >= leaving.patience
            }) {
                self.end().await;
                let _ = leaving.done.send(());
                return;
            }
        }
    }

    /// When something must be done, whatever is heard.
    fn alarm(&self) -> Option<Time> {
        let stop_at = (!self.is_stopped).then_some(self.beaten_until);
        stop_at.into_iter().chain(self.calm_at).chain(self.leaving.as_ref().map(|leaving| leaving.patience)).min()
    }

    /// What entities have told each other may have been lost, or come in another order.
    pub(super) fn disturbed(&mut self) {
        self.calm_at = Some(self.common.clock.now() + CALM_AFTER_MS);
    }

    // ---- in touch and out of touch

    async fn beaten(&mut self, sent_at: Time, picture: Result<Picture, ExchangeError>) {
        // Before it is in touch again: it may have been out of it for a moment.
        self.stop_if_out_of_touch();
        match picture {
            Ok(picture) => self.see(sent_at, picture).await,
            Err(ExchangeError::Gone) => self.rejoin().await,
            Err(error) => tracing::debug!(%error, "a beat was not confirmed"),
        }
    }

    async fn see(&mut self, sent_at: Time, picture: Picture) {
        let now = self.common.clock.now();
        let until = sent_at + STOP_AFTER_MS;
        if now >= until {
            return tracing::warn!("the exchange takes so long that its answers say nothing any more");
        }
        let identity = picture.log_identity;
        let is_first = self.beats == 0 && self.round == 0;
        if !is_first && self.log_identity.load(Ordering::Relaxed) != identity {
            return self.begin_anew(identity).await;
        }
        self.log_identity.store(identity, Ordering::Relaxed);
        self.bus.goes_by(identity);
        self.beats += 1;
        self.beaten_until = until;
        self.common.tenure.extend(until);
        if std::mem::take(&mut self.is_stopped) {
            tracing::info!("in touch with the others");
            // Sessions that were refused meanwhile need not wait for their next look.
            self.bus.local().moved(&Moved::new([], self.common.shard_count));
        }
        for (shard, epoch) in self.common.tenure.take_fenced() {
            if self.membership.fenced(shard, epoch) {
                self.leave_shards(vec![shard], false);
            }
        }
        let orders = self.membership.look(picture, now.0);
        self.carry_out(orders);
        if self.beats == SETTLED_AFTER_BEATS {
            actix_rt::spawn(read_settings(self.common.clone()));
        }
    }

    /// The last confirmed beat is too old, or was for a moment: others may be about to take over.
    fn stop_if_out_of_touch(&mut self) {
        let was_missed = self.common.tenure.take_missed();
        if self.is_stopped || !(was_missed || self.common.clock.now() >= self.beaten_until) {
            return;
        }
        tracing::error!("the others cannot be reached: this process serves nothing until they can");
        self.common.counters.stops.add(1);
        self.stop();
        self.set_routes();
    }

    fn stop(&mut self) {
        self.is_stopped = true;
        self.common.tenure.extend(Time(0));
        self.round += 1;
        self.membership.stopped();
        self.leave_shards((0..self.common.shard_count).map(ShardId).collect(), false);
        self.bus.give_up();
    }

    /// What was confirmed may have been lost: everybody begins anew, also as another member. So whatever is still on its way about
    /// sessions that end now is about nobody.
    async fn begin_anew(&mut self, identity: u64) {
        tracing::error!("records that were confirmed may have been lost: all sessions begin anew");
        self.stop();
        self.membership.forget_owners();
        self.bus.forget_told();
        self.set_routes();
        if !self.restore_constants().await {
            // The next picture tries again.
            return;
        }
        self.log_identity.store(identity, Ordering::Relaxed);
        if let Err(error) = self.config.exchange.remove(self.bus.me()).await {
            tracing::warn!(%error, "could not leave in order: the others will find out");
        }
        self.join_again().await;
    }

    /// The others have given this process up, or the exchange has forgotten everybody: it begins anew, as another member.
    async fn rejoin(&mut self) {
        tracing::warn!(node = self.bus.me().0, "is no member any more: begins anew");
        self.stop();
        self.set_routes();
        // First: whoever comes while nobody is a member makes others.
        if self.restore_constants().await {
            self.join_again().await;
        }
    }

    async fn join_again(&mut self) {
        self.bus.cut_links();
        self.membership = Membership::new(self.bus.me(), self.common.shard_count);
        self.set_routes();
        if let Err(error) = self.become_member().await {
            return tracing::warn!(%error, "cannot join");
        }
        // Otherwise the first picture shows whether the log is another one, and everything begins anew once more.
        if let Ok(Picture { log_identity, .. }) = self.config.exchange.look().await
            && self.log_identity.swap(log_identity, Ordering::Relaxed) != log_identity
        {
            self.bus.forget_told();
        }
        // Should they not be readable now, they are read once more soon.
        read_settings(self.common.clone()).await;
        // Sessions were known under the old number.
        self.bus.local().reset();
    }

    /// Puts the constants back, should the store have lost them. Says whether it has those of this process.
    async fn restore_constants(&self) -> bool {
        match self.constants.restore(&*self.common.store).await {
            Ok(Restored::Ours) => true,
            Ok(Restored::Others) => {
                if !self.outlived.send_replace(true) {
                    tracing::error!("others have begun anew on the store: this process serves nothing until it is started again");
                }
                false
            }
            Err(error) => {
                tracing::warn!(%error, "what is kept with the data could not be looked at");
                false
            }
        }
    }

    // ---- the end

    /// From now on everything is given back.
    pub(super) fn begin_to_leave(&mut self, done: oneshot::Sender<()>) {
        self.leaving = Some(Leaving { done, patience: self.common.clock.now() + LEAVE_PATIENCE_MS });
    }

    /// Nobody needs this process any more.
    async fn end(&mut self) {
        let clock = Arc::clone(&self.common.clock);
        let patience = clock.now() + LAST_WORDS_PATIENCE_MS;
        tokio::select! {
            biased;
            () = self.say_last_words() => {}
            () = clock.sleep_until(patience) => tracing::warn!("could not leave in order: the others will find out"),
        }
        self.bus.give_up();
    }

    async fn say_last_words(&mut self) {
        self.give_back_the_rest().await;
        // What waits is sent, and what was asked is answered, before the box of this process goes.
        let clock = &self.common.clock;
        while self.bus.sending_bytes() > 0 || self.bus.asked_count() > 0 {
            clock.sleep_until(clock.now() + 1).await;
        }
        pass(KillPoint::LastWordsSaid);
        if let Err(error) = self.config.exchange.remove(self.bus.me()).await {
            tracing::warn!(%error, "could not leave in order: the others will find out");
        }
    }
}

async fn look_through_asked(bus: Arc<ClusterBus>, clock: Arc<dyn Clock>) {
    loop {
        let is_idle = bus.asked_count() == 0;
        clock.sleep_until(clock.now() + if is_idle { IDLE_LOOK_EVERY_MS } else { ASKED_LOOK_EVERY_MS }).await;
        bus.look_through_asked();
    }
}

async fn read_settings(common: Common) {
    let Common { store, shard_count, directory, .. } = &common;
    if let Err(error) = settings::read_all(store, *shard_count, directory).await {
        tracing::error!(%error, "settings could not be read: those at hand are used");
    }
}
