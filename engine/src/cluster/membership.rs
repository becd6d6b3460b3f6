//! Who is there, and what this process should own: a state machine over pictures, with time as an argument.
//!
//! A member is taken for dead when its beat has not moved for [`DEAD_AFTER_MS`] of *this* process's monotonic time, counted
//! only between pictures that were really seen. A holder stops [`STOP_AFTER_MS`] after the last beat that was confirmed to
//! it, so it has stopped before anybody takes it for dead. No clock is compared with another.

use std::collections::{BTreeMap, BTreeSet};

use jono_points::{Rule, is_broken};
use jono_store::{Epoch, NodeId, Owner, Picture, ShardId};

use super::card::Card;
use super::limits::{DEAD_AFTER_MS, LOOK_COUNTS_MS};
use super::placement::owner_of;

/// What one process knows of the others.
#[derive(Debug)]
pub(crate) struct Membership {
    me: NodeId,
    shard_count: u16,
    seen: BTreeMap<NodeId, Seen>,
    /// Taken for dead, and members still: whoever removes them has failed. They stay dead whatever they do, since their
    /// sessions were forgotten; removed, they learn it and begin anew.
    dead: BTreeSet<NodeId>,
    looked_at_ms: Option<u64>,
    owners_version: u64,
    owners: BTreeMap<ShardId, Owner>,
    /// What this process owns, and what it is about to.
    held: BTreeMap<ShardId, Held>,
}

#[derive(Debug)]
struct Seen {
    beat: u64,
    card: Card,
    silent_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Coming,
    Owned(Epoch),
    Going(Epoch),
}

/// What should be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Become the owner of these.
    pub(crate) acquire: Vec<ShardId>,
    /// Finish what is under way in these and give them back.
    pub(crate) release: Vec<ShardId>,
    /// These are this process's by what it has published only, and should be others': say that they are given back.
    pub(crate) disown: Vec<(ShardId, Epoch)>,
    /// Somebody else owns these: stop at once.
    pub(crate) lost: Vec<ShardId>,
    /// Members that went, orderly or not: nothing comes from them any more.
    pub(crate) gone: Vec<NodeId>,
    /// Those that did not go by themselves: to be removed, again at each look that still finds them.
    pub(crate) dead: Vec<NodeId>,
}

impl Membership {
    pub(crate) fn new(me: NodeId, shard_count: u16) -> Self {
        Self {
            me,
            shard_count,
            seen: BTreeMap::new(),
            dead: BTreeSet::new(),
            looked_at_ms: None,
            owners_version: 0,
            owners: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// The version of owners that is known.
    pub(crate) fn owners_version(&self) -> u64 {
        self.owners_version
    }

    /// A picture was seen at this moment of the monotonic clock.
    pub(crate) fn look(&mut self, picture: Picture, now_ms: u64) -> Orders {
        let mut orders = Orders::default();
        let passed_ms = self.looked_at_ms.replace(now_ms).map_or(0, |before| now_ms.saturating_sub(before).min(LOOK_COUNTS_MS));
        let mut before = std::mem::take(&mut self.seen);
        for member in picture.members {
            if self.dead.contains(&member.node) {
                orders.dead.push(member.node);
                continue;
            }
            let card = Card::decode(&member.card);
            let silent_ms = match before.remove(&member.node) {
                Some(seen) if seen.beat == member.beat && member.node != self.me => seen.silent_ms + passed_ms,
                _ => 0,
            };
            if silent_ms >= DEAD_AFTER_MS && !is_broken(Rule::TheSilentAreDead) {
                orders.dead.push(member.node);
                orders.gone.push(member.node);
            } else {
                self.seen.insert(member.node, Seen { beat: member.beat, card, silent_ms });
            }
        }
        self.dead = orders.dead.iter().copied().collect();
        orders.gone.extend(before.into_keys());
        self.owners_version = picture.owners_version;
        for (shard, owner) in picture.owners.into_iter().flatten() {
            self.hear_owner(shard, owner);
        }
        self.judge(&mut orders);
        orders
    }

    /// An owner has said so itself, sooner than the next picture does.
    pub(crate) fn hear(&mut self, owners: &[(ShardId, Owner)]) -> Orders {
        self.note(owners);
        let mut orders = Orders::default();
        self.judge(&mut orders);
        orders
    }

    /// As [`Membership::hear`], for a process that must do nothing now.
    pub(crate) fn note(&mut self, owners: &[(ShardId, Owner)]) {
        owners.iter().for_each(|(shard, owner)| self.hear_owner(*shard, *owner));
    }

    fn hear_owner(&mut self, shard: ShardId, owner: Owner) {
        let known = self.owners.entry(shard).or_insert(owner);
        let is_later = owner.epoch > known.epoch || (owner.epoch == known.epoch && owner.node.is_none());
        if is_later {
            *known = owner;
        }
    }

    fn judge(&mut self, orders: &mut Orders) {
        let engines = self.engines();
        for shard in (0..self.shard_count).map(ShardId) {
            let owner = self.owners.get(&shard).copied();
            let should = owner_of(shard, &engines);
            match self.held.get(&shard).copied() {
                Some(Held::Owned(epoch) | Held::Going(epoch)) if owner.is_some_and(|owner| owner.epoch > epoch) => {
                    self.held.remove(&shard);
                    orders.lost.push(shard);
                }
                Some(Held::Owned(epoch)) if should != Some(self.me) && should.is_some() => {
                    self.held.insert(shard, Held::Going(epoch));
                    orders.release.push(shard);
                }
                None if should == Some(self.me) && self.is_free(owner) => {
                    self.held.insert(shard, Held::Coming);
                    orders.acquire.push(shard);
                }
                // Owned before everything was dropped; meanwhile others should own it, and wait for this word.
                None if should.is_some() && should != Some(self.me) => {
                    if let Some(Owner { node: Some(node), epoch }) = owner
                        && node == self.me
                    {
                        self.hear_owner(shard, Owner { node: None, epoch });
                        orders.disown.push((shard, epoch));
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    /// Nobody who is there owns it.
    fn is_free(&self, owner: Option<Owner>) -> bool {
        match owner.and_then(|owner| owner.node) {
            None => true,
            Some(node) => node == self.me || !self.seen.contains_key(&node),
        }
    }

    /// The shard was acquired and is served.
    pub(crate) fn owned(&mut self, shard: ShardId, epoch: Epoch) {
        self.held.insert(shard, Held::Owned(epoch));
        self.hear_owner(shard, Owner { node: Some(self.me), epoch });
    }

    /// The shard was acquired, but too late: everything was dropped meanwhile. Says whether it must be left here.
    pub(crate) fn owned_in_vain(&mut self, shard: ShardId, epoch: Epoch) -> bool {
        match self.held.get(&shard) {
            // What comes replaces it.
            Some(Held::Coming) => false,
            Some(Held::Owned(later) | Held::Going(later)) if *later > epoch => false,
            // The store has given what is owned here an epoch that is never served.
            Some(Held::Owned(_) | Held::Going(_)) | None => {
                self.held.remove(&shard);
                true
            }
        }
    }

    /// The store says that another owns the shard. Says whether it must be left here: the next looks will tell whose it is.
    pub(crate) fn fenced(&mut self, shard: ShardId, epoch: Epoch) -> bool {
        self.epoch_of(shard) == Some(epoch) && self.held.remove(&shard).is_some()
    }

    /// The shard was not acquired, or is served no more: the next look decides anew.
    pub(crate) fn dropped(&mut self, shard: ShardId) {
        self.held.remove(&shard);
    }

    /// The shard was given back under this epoch.
    pub(crate) fn released(&mut self, shard: ShardId, epoch: Epoch) {
        self.held.remove(&shard);
        self.hear_owner(shard, Owner { node: None, epoch });
    }

    /// This process must not serve: what it owned it will have to acquire again.
    pub(crate) fn stopped(&mut self) {
        self.held.clear();
    }

    /// The records are others than before: epochs may be lower than those that are known.
    pub(crate) fn forget_owners(&mut self) {
        self.owners.clear();
        self.owners_version = 0;
    }

    /// Under which epoch this process owns the shard.
    pub(crate) fn epoch_of(&self, shard: ShardId) -> Option<Epoch> {
        match self.held.get(&shard)? {
            Held::Owned(epoch) | Held::Going(epoch) => Some(*epoch),
            Held::Coming => None,
        }
    }

    /// It owns nothing, and nothing is on its way.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Somebody else can own shards.
    pub(crate) fn has_other_engines(&self) -> bool {
        self.engines().iter().any(|node| *node != self.me)
    }

    /// Everybody who is there, this process too.
    pub(crate) fn members(&self) -> impl Iterator<Item = NodeId> {
        self.seen.keys().copied()
    }

    /// Who owns what, of those who are there.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (ShardId, NodeId, Epoch)> {
        self.owners.iter().filter_map(|(shard, owner)| {
            let node = owner.node.filter(|node| self.seen.contains_key(node))?;
            Some((*shard, node, owner.epoch))
        })
    }

    /// Those who own shards, or should.
    fn engines(&self) -> Vec<NodeId> {
        self.seen.iter().filter(|(_, seen)| seen.card.serves_shards && !seen.card.is_leaving).map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use jono_store::Member;

    use super::*;
    use crate::cluster::limits::{BEAT_EVERY_MS, STOP_AFTER_MS};

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn card(is_leaving: bool) -> Card {
        Card { serves_shards: true, is_leaving, ..Card::default() }
    }

    fn picture(members: &[(NodeId, u64, bool)], owners: &[(u16, Option<NodeId>, u64)]) -> Picture {
        let members =
            members.iter().map(|(node, beat, is_leaving)| Member { node: *node, beat: *beat, card: card(*is_leaving).encode() });
        let owners = owners.iter().map(|(shard, node, epoch)| (ShardId(*shard), Owner { node: *node, epoch: Epoch(*epoch) }));
        Picture { members: members.collect(), owners_version: 1, owners: Some(owners.collect()), log_identity: 1 }
    }

    #[test]
    fn an_engine_alone_takes_every_shard() {
        let mut alone = Membership::new(ME, 8);
        let orders = alone.look(picture(&[(ME, 1, false)], &[]), 0);
        assert_eq!(orders.acquire.len(), 8);
        assert_eq!(alone.look(picture(&[(ME, 2, false)], &[]), 250), Orders::default(), "they are on their way");
        alone.dropped(ShardId(3));
        assert_eq!(alone.look(picture(&[(ME, 3, false)], &[]), 500).acquire, [ShardId(3)], "what failed is tried again");
    }

    #[test]
    fn who_is_silent_is_dead_only_after_its_shards_have_stopped() {
        let mut here = Membership::new(ME, 8);
        let owners: Vec<_> = (0..8).map(|shard| (shard, Some(OTHER), 1)).collect();
        here.look(picture(&[(ME, 1, false), (OTHER, 7, false)], &owners), 0);
        let mut now_ms = 0;
        loop {
            now_ms += BEAT_EVERY_MS;
            let orders = here.look(picture(&[(ME, 1 + now_ms, false), (OTHER, 7, false)], &[]), now_ms);
            if !orders.dead.is_empty() {
                assert_eq!((orders.dead, orders.acquire.len()), (vec![OTHER], 8));
                break;
            }
            assert!(orders.acquire.is_empty());
        }
        assert!(now_ms >= DEAD_AFTER_MS && DEAD_AFTER_MS > STOP_AFTER_MS, "{now_ms}");
    }

    #[test]
    fn who_was_taken_for_dead_stays_dead_until_it_is_removed() {
        let mut here = Membership::new(ME, 8);
        here.look(picture(&[(ME, 1, false), (OTHER, 7, false)], &[]), 0);
        let mut look = |beat, now_ms| here.look(picture(&[(ME, 1 + now_ms, false), (OTHER, beat, false)], &[]), now_ms);
        let died = (1..).map(|n| look(7, n * BEAT_EVERY_MS)).find(|orders| !orders.dead.is_empty()).expect("in the end");
        assert_eq!((died.dead, died.gone), (vec![OTHER], vec![OTHER]));
        // It could not be removed, and beats again.
        for beat in [7, 8, 9] {
            let orders = look(beat, 100 * DEAD_AFTER_MS);
            assert_eq!((orders.dead, orders.gone, orders.release), (vec![OTHER], vec![], vec![]));
        }
        assert!(here.look(picture(&[(ME, 3, false)], &[]), 200 * DEAD_AFTER_MS).dead.is_empty());
    }

    #[test]
    fn silence_that_was_not_seen_does_not_count() {
        let mut here = Membership::new(ME, 8);
        here.look(picture(&[(ME, 1, false), (OTHER, 7, false)], &[]), 0);
        // This process was paused, or the exchange was away: nobody knows whether the other has beaten.
        let orders = here.look(picture(&[(ME, 2, false), (OTHER, 7, false)], &[]), 10 * DEAD_AFTER_MS);
        assert!(orders.dead.is_empty());
    }

    #[test]
    fn a_shard_moves_by_being_given_back() {
        let mut here = Membership::new(ME, 8);
        let alone = here.look(picture(&[(ME, 1, false)], &[]), 0);
        alone.acquire.iter().for_each(|shard| here.owned(*shard, Epoch(5)));
        let orders = here.look(picture(&[(ME, 2, false), (OTHER, 1, false)], &[]), 250);
        assert!(orders.acquire.is_empty() && !orders.release.is_empty());
        let mut there = Membership::new(OTHER, 8);
        let owners: Vec<_> = (0..8).map(|shard| (shard, Some(ME), 5)).collect();
        let waiting = there.look(picture(&[(ME, 2, false), (OTHER, 1, false)], &owners), 0);
        assert!(waiting.acquire.is_empty(), "its owner is there");
        let moved = orders.release[0];
        here.released(moved, Epoch(5));
        let heard = there.hear(&[(moved, Owner { node: None, epoch: Epoch(5) })]);
        assert_eq!(heard.acquire, [moved]);
        there.owned(moved, Epoch(6));
        here.hear(&[(moved, Owner { node: Some(OTHER), epoch: Epoch(6) })]);
        assert!(here.routes().any(|route| route == (moved, OTHER, Epoch(6))));
        // An old word changes nothing.
        here.hear(&[(moved, Owner { node: Some(ME), epoch: Epoch(5) })]);
        assert!(here.routes().any(|route| route == (moved, OTHER, Epoch(6))));
    }

    #[test]
    fn who_leaves_is_given_nothing_and_gives_all() {
        let mut here = Membership::new(ME, 8);
        let alone = here.look(picture(&[(ME, 1, false)], &[]), 0);
        alone.acquire.iter().for_each(|shard| here.owned(*shard, Epoch(1)));
        let orders = here.look(picture(&[(ME, 2, true), (OTHER, 1, false)], &[]), 250);
        assert_eq!(orders.release.len(), 8);
        orders.release.iter().for_each(|shard| here.released(*shard, Epoch(1)));
        assert!(here.holds_nothing());
        // The last one to leave has nobody to give them to: it keeps them to its end.
        let mut last = Membership::new(ME, 8);
        last.look(picture(&[(ME, 1, false)], &[]), 0).acquire.iter().for_each(|shard| last.owned(*shard, Epoch(1)));
        assert_eq!(last.look(picture(&[(ME, 2, true)], &[]), 250).release, []);
    }

    #[test]
    fn what_comes_too_late_is_left_unless_it_is_served_again_already() {
        let mut here = Membership::new(ME, 8);
        let shard = here.look(picture(&[(ME, 1, false)], &[]), 0).acquire[0];
        assert!(!here.owned_in_vain(shard, Epoch(1)), "what comes replaces it");
        here.owned(shard, Epoch(3));
        assert!(!here.owned_in_vain(shard, Epoch(2)), "what is there has replaced it");
        assert!(here.owned_in_vain(shard, Epoch(4)), "what is there can write no more");
        assert!(here.owned_in_vain(shard, Epoch(5)), "nobody wants it");
        assert!(here.look(picture(&[(ME, 2, false)], &[]), 250).acquire.contains(&shard), "it is acquired anew");
    }

    #[test]
    fn what_was_dropped_and_should_be_anothers_is_given_back() {
        let mut here = Membership::new(ME, 8);
        here.look(picture(&[(ME, 1, false)], &[]), 0).acquire.iter().for_each(|shard| here.owned(*shard, Epoch(1)));
        here.stopped();
        // Another has come, and waits for what is published as this process's.
        let orders = here.look(picture(&[(ME, 2, false), (OTHER, 1, false)], &[]), 250);
        assert!(!orders.acquire.is_empty() && !orders.disown.is_empty());
        assert_eq!(orders.acquire.len() + orders.disown.len(), 8);
        assert_eq!(here.look(picture(&[(ME, 3, false), (OTHER, 2, false)], &[]), 500).disown, [], "once");
    }

    #[test]
    fn a_shard_that_the_store_refuses_is_acquired_anew() {
        let mut here = Membership::new(ME, 8);
        let shard = here.look(picture(&[(ME, 1, false)], &[]), 0).acquire[0];
        here.owned(shard, Epoch(3));
        assert!(!here.fenced(shard, Epoch(2)), "that was before");
        assert!(here.fenced(shard, Epoch(3)));
        // Whoever took it from here has not said so, and is nowhere to be seen.
        assert_eq!(here.look(picture(&[(ME, 2, false)], &[]), 250).acquire, [shard]);
    }

    #[test]
    fn a_shard_that_another_owns_is_lost_at_once() {
        let mut here = Membership::new(ME, 8);
        here.look(picture(&[(ME, 1, false)], &[]), 0).acquire.iter().for_each(|shard| here.owned(*shard, Epoch(1)));
        let orders = here.look(picture(&[(ME, 2, false), (OTHER, 1, false)], &[(4, Some(OTHER), 2)]), 250);
        assert_eq!(orders.lost, [ShardId(4)]);
        assert!(!orders.release.contains(&ShardId(4)));
    }
}
