//! The ways of a process among others: letters go to whoever owns their entity's shard, deliveries to whoever has the session.
//!
//! A letter may be lost with the process that it was sent to. Requests are sent again until they are answered
//! (`asked`); what entities tell each other they tell again when an owner changes (`told`, `Machine::announce`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use jono_domain::id::OrganisationId;
use jono_points::{KillPoint, Rule, is_broken, pass};
use jono_store::{Epoch, Exchange, NodeId, Owner, ShardId};

use super::asked::Asked;
use super::envelope::{Item, Stamp};
use super::limits::GATEWAYS_MAX;
use super::link::Link;
use super::told::Told;
use crate::bus::{Bus, LocalBus};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::delivery::{Delivery, Moved, SessionRef};
use crate::kind::shard_of;
use crate::lease::Tenure;
use crate::letter::Letter;
use crate::output::{busy, unavailable};
use crate::request::{Answer, Follow, ReplyTo};

/// Behind this number of a process answers to its own requests arrive, instead of a listener's sessions.
const ASKED: u64 = GATEWAYS_MAX;
/// A session's gateway is the process's number and the listener's; without the first it is this process.
const LISTENER_BITS: u32 = 8;

/// Is this no session, but the number of a request of some process?
pub(crate) fn is_numbered(session: SessionRef) -> bool {
    session.gateway & ((1 << LISTENER_BITS) - 1) == ASKED && session.gateway > ASKED
}

/// Did the session come through that process?
pub(crate) fn is_session_of(session: SessionRef, node: NodeId) -> bool {
    session.gateway >> LISTENER_BITS == u64::from(node.0)
}

/// The owner of each shard, as far as this process knows.
pub(crate) type Routes = Vec<Option<(NodeId, Epoch)>>;

pub(crate) struct ClusterBus {
    me: AtomicU32,
    shard_count: u16,
    local: Arc<LocalBus>,
    tenure: Arc<Tenure>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    routes: ArcSwap<Routes>,
    links: ArcSwap<BTreeMap<NodeId, Arc<Link>>>,
    /// Ways that were opened.
    ways: AtomicU64,
    /// The identity of the log that the last picture has shown; 0 before the first of this member.
    log: Arc<AtomicU64>,
    /// See [`ClusterBus::newest`].
    newest: AtomicU32,
    asked: Mutex<Asked>,
    told: Mutex<Told>,
    /// The same of sessions that follow something no more.
    left: Mutex<Told>,
}

impl ClusterBus {
    pub(crate) fn new(
        local: Arc<LocalBus>,
        shard_count: u16,
        tenure: Arc<Tenure>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        Arc::new(Self {
            me: AtomicU32::new(0),
            shard_count,
            local,
            tenure,
            clock,
            counters,
            routes: ArcSwap::new(Arc::new(vec![None; usize::from(shard_count)])),
            links: ArcSwap::default(),
            ways: AtomicU64::new(0),
            log: Arc::default(),
            newest: AtomicU32::new(0),
            asked: Mutex::default(),
            told: Mutex::default(),
            left: Mutex::default(),
        })
    }

    pub(crate) fn me(&self) -> NodeId {
        NodeId(self.me.load(Ordering::Acquire))
    }

    /// Everything that is sent from now on comes from that member.
    pub(crate) fn become_member(&self, me: NodeId) {
        self.me.store(me.0, Ordering::Release);
        // No picture has shown it so far.
        self.newest.store(0, Ordering::Release);
        // What has met others meanwhile goes by the name of before.
        self.cut_links();
        self.log.store(0, Ordering::Relaxed);
    }

    /// The highest number that a picture has shown, 0 before the first; whoever has one below it is a member, or gone.
    pub(crate) fn newest(&self) -> NodeId {
        NodeId(self.newest.load(Ordering::Acquire))
    }

    pub(crate) fn local(&self) -> &Arc<LocalBus> {
        &self.local
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Told> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests under way.
    pub(crate) fn asked_count(&self) -> usize {
        self.asked().len()
    }

    /// Bytes that wait for other processes.
    pub(crate) fn sending_bytes(&self) -> u64 {
        self.links.load().values().map(|link| link.waiting_bytes()).sum()
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    // ---- what the node decides

    /// These are the owners now. Says for which shards there is another one, or the same under another epoch.
    pub(crate) fn set_routes(&self, routes: Routes) -> Moved {
        let before = self.routes.load();
        let changed = before.iter().zip(&routes).enumerate().filter(|(_, (before, after))| before != after && after.is_some());
        let moved = Moved::new(changed.map(|(shard, _)| ShardId(shard as u16)), self.shard_count);
        if !moved.is_empty() {
            // Before anything can be sent to the new owners: what was sent to the old ones comes first.
            self.asked().owners_changed(|shard| moved.holds_shard(shard), self.clock.now());
        }
        self.routes.store(Arc::new(routes));
        moved
    }

    /// These are the ways to others.
    pub(crate) fn set_links(&self, links: BTreeMap<NodeId, Arc<Link>>) {
        self.links.store(Arc::new(links));
    }

    /// That log is the one whose records count.
    pub(crate) fn goes_by(&self, log: u64) {
        self.log.store(log, Ordering::Relaxed);
    }

    /// Is what the sender of a parcel knows of another log than what this process knows? One of them has not noticed so far.
    pub(crate) fn is_of_another_log(&self, stamp: Stamp) -> bool {
        let log = self.log.load(Ordering::Relaxed);
        log != 0 && stamp.log != 0 && stamp.log != log
    }

    /// There are no ways any more.
    pub(crate) fn cut_links(&self) {
        self.links.swap(Arc::default()).values().for_each(|link| link.cut());
    }

    /// This member was seen in a picture. Those with smaller numbers that are not there have gone; those with larger ones may
    /// have come since.
    pub(crate) fn seen(&self, member: NodeId) {
        self.newest.fetch_max(member.0, Ordering::AcqRel);
    }

    /// A way to that process; it runs on the calling arbiter.
    pub(crate) fn open_link(&self, to: NodeId, exchange: &Arc<dyn Exchange>) -> Arc<Link> {
        let way = self.ways.fetch_add(1, Ordering::Relaxed) + 1;
        Link::open(Arc::clone(exchange), Arc::clone(&self.clock), (self.me(), way, Arc::clone(&self.log)), to)
    }

    /// That process has sent something: answers must find the way, though it may not have been seen in a picture yet. Called
    /// on the node's arbiter.
    pub(crate) fn meet(&self, from: NodeId, exchange: &Arc<dyn Exchange>) {
        let links = self.links.load();
        if from > self.newest() && from != self.me() && !links.contains_key(&from) {
            let mut links = BTreeMap::clone(&links);
            links.insert(from, self.open_link(from, exchange));
            self.links.store(Arc::new(links));
        }
    }

    fn has_way_to(&self, node: NodeId) -> bool {
        node.0 == 0 || node == self.me() || self.links.load().contains_key(&node)
    }

    /// That process is no member any more.
    pub(crate) fn is_gone(&self, node: NodeId) -> bool {
        // In this order: ways are there before anybody counts as seen.
        node <= self.newest() && !self.has_way_to(node)
    }

    pub(crate) fn links(&self) -> Arc<BTreeMap<NodeId, Arc<Link>>> {
        self.links.load_full()
    }

    /// Owners have changed: what may have been lost with the old ones is sent again.
    pub(crate) fn owners_changed(&self, moved: &Moved) {
        // Who has left has perhaps been led there by the new owner meanwhile. Sessions that are there follow again after this.
        let left = self.left().again(|shard| moved.holds_shard(shard), self.clock.now());
        left.into_iter().for_each(|(shard, item)| self.send_again(shard, item));
        self.tell_again(moved);
    }

    /// What owners may have lost is sent again.
    pub(crate) fn tell_again(&self, moved: &Moved) {
        let now = self.clock.now();
        let is_told_again = |shard| moved.holds_shard(shard) && !is_broken(Rule::TalesAreToldAgain);
        let told = self.told().again(is_told_again, now);
        for (shard, item) in told {
            self.send_again(shard, item);
            pass(KillPoint::ToldAgain);
        }
        self.asked().owners_changed(|shard| moved.holds_shard(shard), now);
        self.look_through_asked();
    }

    /// Sends again what was not answered, and gives up what waits for too long.
    pub(crate) fn look_through_asked(&self) {
        let mut due = self.asked().due(self.clock.now());
        if is_broken(Rule::UnansweredIsAskedAgain) {
            due.again.clear();
        }
        if !due.again.is_empty() {
            self.counters.asked_again.add(due.again.len() as u64);
        }
        for (shard, item) in due.again {
            self.send_again(shard, item);
            pass(KillPoint::AskedAgain);
        }
        due.given_up.into_iter().for_each(|reply_to| self.answer(reply_to, Err(unavailable())));
    }

    /// What was told rests on what was lost.
    pub(crate) fn forget_told(&self) {
        *self.told() = Told::default();
        *self.left() = Told::default();
    }

    /// Nothing that is under way will be answered.
    pub(crate) fn give_up(&self) {
        let given_up = self.asked().give_up();
        given_up.into_iter().for_each(|reply_to| self.answer(reply_to, Err(unavailable())));
    }

    /// To all other processes.
    pub(crate) fn broadcast(&self, item: &Item) {
        let links = self.links.load();
        if links.is_empty() {
            return;
        }
        let item = item.encode();
        links.values().for_each(|link| link.put(item.clone()));
    }

    pub(crate) fn publish_owners(&self, owners: &[(ShardId, Owner)]) {
        self.broadcast(&Item::owners(owners));
    }

    pub(crate) fn send_item(&self, to: NodeId, item: &Item) {
        if let Some(link) = self.links.load().get(&to) {
            link.put(item.encode());
        }
    }

    // ---- what has come

    /// A letter from another process, for an entity of this one; if it is none, whoever sent it will hear of the owner.
    pub(crate) fn receive(&self, letter: Letter) {
        let shard = shard_of(letter.address(), self.shard_count);
        if self.route(shard) != Some(self.me()) {
            self.counters.misrouted.add(1);
            return self.answer(letter.into_reply_to(), Err(unavailable()));
        }
        if let Err(letter) = self.local.post(letter) {
            self.counters.refused_busy.add(1);
            self.answer(letter.into_reply_to(), Err(busy()));
        }
    }

    /// Deliveries from another process, to sessions of this one.
    pub(crate) fn receive_deliveries(&self, sessions: &[(u8, u64)], delivery: Delivery) {
        let mut batch = Vec::with_capacity(sessions.len());
        for (listener, session) in sessions {
            let session = SessionRef { gateway: u64::from(*listener), session: *session };
            self.take(session, delivery.clone(), &mut batch);
        }
        self.deliver_here(batch);
    }

    // ---- within

    /// Who owns the shard.
    fn route(&self, shard: ShardId) -> Option<NodeId> {
        self.routes.load().get(usize::from(shard.0)).copied().flatten().map(|(node, _)| node)
    }

    /// What a listener of this process, or its requests, are to the others.
    fn gateway(&self, listener: u64) -> u64 {
        u64::from(self.me().0) << LISTENER_BITS | listener
    }

    fn answer(&self, reply_to: ReplyTo, answer: Answer) {
        let mut batch = Vec::new();
        reply_to.answer(answer, &mut batch);
        self.deliver(batch);
    }

    fn is_from_here(reply_to: &ReplyTo) -> bool {
        match reply_to {
            ReplyTo::Session { session, .. } => session.gateway < GATEWAYS_MAX,
            ReplyTo::Once(_) => true,
            ReplyTo::Nobody => false,
        }
    }

    fn named(&self, session: SessionRef) -> SessionRef {
        let is_from_here = session.gateway <= GATEWAYS_MAX;
        if is_from_here { SessionRef { gateway: self.gateway(session.gateway), ..session } } else { session }
    }

    /// A request of this process gets a number, and a key if it has none, so that it may be sent twice.
    fn ask(&self, mut letter: Letter, shard: ShardId) -> Result<(), Box<Letter>> {
        let now = self.clock.now();
        let is_from_outside = letter.is_from_outside();
        let Some(number) = self.asked().number() else { return Err(Box::new(letter)) };
        let follows = match &letter {
            Letter::Follow { follow, .. } => Some((follow.session, follow.what)),
            Letter::Ask(_) | Letter::Unfollow { .. } => None,
        };
        let asked = SessionRef { gateway: self.gateway(ASKED), session: number };
        let Some(place) = letter.reply_to_mut() else { return Ok(()) };
        let reply_to = std::mem::replace(place, ReplyTo::Session { session: asked, request: 0 });
        if !self.tenure.holds(now) {
            // The others cannot be reached, and nothing may be done here.
            self.answer(reply_to, Err(unavailable()));
            return Ok(());
        }
        if let Letter::Ask(ask) = &mut letter
            && ask.key.is_none()
            && !ask.order.may_come_twice()
        {
            // No client can choose such a key: it has a character that the protocol refuses.
            ask.key = Some(format!("\u{1}{}.{number}", self.me().0));
        }
        let item = Item::Letter(letter);
        let bytes = item.encode();
        let Item::Letter(letter) = item else { return Ok(()) };
        // Looked up before it is noted: if the owner changes in between, it is sent again with those before it.
        let route = self.route(shard);
        if !self.asked().wait(number, reply_to, (shard, bytes.clone()), follows, now) {
            return Ok(());
        }
        match route {
            Some(node) if node == self.me() => self.local.post(letter).map_err(|mut letter| {
                let reply_to = self.asked().withdraw(number);
                if let (Some(place), Some(reply_to)) = (letter.reply_to_mut(), reply_to) {
                    *place = reply_to;
                }
                debug_assert!(is_from_outside, "only those are refused");
                letter
            }),
            Some(node) => {
                self.put(node, bytes);
                Ok(())
            }
            // It waits for an owner.
            None => Ok(()),
        }
    }

    fn put(&self, node: NodeId, item: Bytes) {
        if let Some(link) = self.links.load().get(&node) {
            link.put(item);
        }
    }

    fn send_again(&self, shard: ShardId, item: Bytes) {
        match self.route(shard) {
            Some(node) if node == self.me() => {
                if let Some(Item::Letter(letter)) = Item::decode(&item) {
                    // Full: it will be sent once more.
                    let _ = self.local.post(letter);
                }
            }
            Some(node) => self.put(node, item),
            None => {}
        }
    }

    /// A delivery to a session of this process, or an answer to one of its requests.
    fn take(&self, session: SessionRef, delivery: Delivery, batch: &mut Vec<(SessionRef, Delivery)>) {
        if session.gateway != ASKED {
            return batch.push((session, delivery));
        }
        let Delivery::Answer { answer, .. } = delivery else { return };
        let Some((reply_to, answer)) = self.asked().answered(session.session, answer, self.clock.now()) else { return };
        reply_to.answer(answer, batch);
    }

    fn deliver_here(&self, batch: Vec<(SessionRef, Delivery)>) {
        if !batch.is_empty() {
            self.local.deliver(batch);
        }
    }
}

/// The process that the session is at; 0 is the one that asks.
fn node_of(session: SessionRef) -> NodeId {
    NodeId((session.gateway >> LISTENER_BITS) as u32)
}

impl Bus for ClusterBus {
    fn post(&self, mut letter: Letter) -> Result<(), Box<Letter>> {
        let shard = shard_of(letter.address(), self.shard_count);
        match &mut letter {
            Letter::Follow { follow: Follow { session, .. }, .. } => *session = self.named(*session),
            Letter::Unfollow { is_led: true, .. } => {}
            Letter::Unfollow { session, what, .. } => {
                *session = self.named(*session);
                let taken_back = self.asked().unfollow(*session, *what);
                taken_back.into_iter().for_each(|reply_to| self.answer(reply_to, Err(crate::output::unfollowed_meanwhile())));
            }
            Letter::Ask(_) => {}
        }
        if letter.reply_to_mut().is_some_and(|reply_to| Self::is_from_here(reply_to)) {
            return self.ask(letter, shard);
        }
        let is_told_once = letter.is_told_once();
        // Nobody asks who has left.
        let is_leaving = matches!(letter, Letter::Unfollow { is_led: false, .. });
        if is_told_once {
            pass(KillPoint::TellingOnce);
        } else if !is_leaving && self.route(shard) == Some(self.me()) {
            return self.local.post(letter);
        }
        let item = Item::Letter(letter);
        let bytes = item.encode();
        if is_told_once {
            self.told().keep(shard, bytes.clone(), self.clock.now());
            pass(KillPoint::ToldKept);
        } else if is_leaving {
            self.left().keep(shard, bytes.clone(), self.clock.now());
        }
        // Looked up when it is kept: if the owner changes in between, it is told again.
        let route = self.route(shard);
        match (route, item) {
            (Some(node), Item::Letter(letter)) if node == self.me() => return self.local.post(letter),
            (Some(node), _) => self.put(node, bytes),
            // Whoever waits asks again; what is told is told again.
            (None, _) => {}
        }
        Ok(())
    }

    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let me = self.me().0;
        let mut here = Vec::with_capacity(batch.len());
        let mut away: BTreeMap<u32, Vec<Item>> = BTreeMap::new();
        for (session, delivery) in batch {
            let (node, listener) = ((session.gateway >> LISTENER_BITS) as u32, session.gateway & ((1 << LISTENER_BITS) - 1));
            if node == 0 || node == me {
                self.take(SessionRef { gateway: listener, ..session }, delivery, &mut here);
                continue;
            }
            let items = away.entry(node).or_default();
            let to = (listener as u8, session.session);
            match (items.last_mut(), &delivery) {
                // One notice to many sessions travels once.
                (Some(Item::Deliver(sessions, Delivery::Notice(last))), Delivery::Notice(notice))
                    if Arc::ptr_eq(last, notice) =>
                {
                    sessions.push(to);
                }
                _ => items.push(Item::Deliver(vec![to], delivery)),
            }
        }
        for (node, items) in away {
            items.iter().for_each(|item| self.send_item(NodeId(node), item));
        }
        self.deliver_here(here);
    }

    fn reaches(&self, session: SessionRef) -> bool {
        self.has_way_to(node_of(session))
    }

    fn has_gone(&self, session: SessionRef) -> bool {
        self.is_gone(node_of(session))
    }

    fn is_outdated(&self, shard: ShardId, epoch: Epoch) -> bool {
        let routes = self.routes.load();
        routes.get(usize::from(shard.0)).copied().flatten().is_some_and(|(_, known)| known > epoch)
    }

    fn settings_changed(&self, organisation: OrganisationId) {
        self.broadcast(&Item::Settings(organisation));
    }
}

#[cfg(all(test, feature = "armed"))]
mod tests {
    use jono_domain::id::QueueId;
    use jono_domain::message::Order;
    use jono_domain::queue::Command;
    use jono_points::on_pass;

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn what_is_told_once_while_its_shard_gets_another_owner_reaches_that_one() {
        const ME: NodeId = NodeId(7);
        let (local, inboxes) = LocalBus::new(1, 1);
        let bus = ClusterBus::new(local, 1, Tenure::for_ever(), SystemClock::start(), Arc::default());
        bus.become_member(ME);
        let node = Arc::clone(&bus);
        on_pass(Some(Box::new(move |point| {
            if point == KillPoint::TellingOnce {
                let moved = node.set_routes(vec![Some((ME, Epoch(1)))]);
                node.owners_changed(&moved);
            }
        })));
        let posted = bus.post(Letter::tell(Order::Queue(QueueId::from_bits(1), Box::new(Command::AdoptSettings))));
        on_pass(None);
        assert!(posted.is_ok() && !inboxes[0].is_empty());
    }
}
