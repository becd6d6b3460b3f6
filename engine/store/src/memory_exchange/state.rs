//! The members, owners and boxes of a [`MemoryExchange`](super::MemoryExchange), and what happens to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{Epoch, ExchangeError, Member, NodeId, Owner, Picture, Position, ShardId};

/// Everything there is, and what is planned to go wrong.
#[derive(Debug)]
pub(super) struct State {
    nodes_given: u32,
    members: BTreeMap<NodeId, Present>,
    owners: BTreeMap<ShardId, Owner>,
    owners_version: u64,
    parcels_max: usize,
    bytes_max: usize,
    pub(super) log_identity: u64,
    /// Over connections that are cut, for boxes that are gone.
    waiting_in_vain: Vec<oneshot::Sender<()>>,
    /// Whose beats fail.
    pub(super) frozen: BTreeSet<NodeId>,
    /// Answers of the sends to come.
    pub(super) sends: VecDeque<ExchangeError>,
    /// How many of the next parcels to a node are lost.
    pub(super) lost: BTreeMap<NodeId, usize>,
    /// Whose boxes show nothing new.
    pub(super) held: BTreeSet<NodeId>,
}

#[derive(Debug, Default)]
struct Present {
    beat: u64,
    card: Bytes,
    parcels: VecDeque<(Position, Bytes)>,
    bytes: usize,
    parcels_taken: u64,
    /// Of what is in the box, so many came before it was held.
    shown: Option<usize>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Present {
    fn wake(&mut self) {
        for waiting in self.waiting.drain(..) {
            // Who waited may have given up.
            let _ = waiting.send(());
        }
    }
}

impl State {
    /// Without those who wait.
    pub(super) fn copy(&self) -> Self {
        let member = |there: &Present| Present {
            beat: there.beat,
            card: there.card.clone(),
            parcels: there.parcels.clone(),
            bytes: there.bytes,
            parcels_taken: there.parcels_taken,
            shown: there.shown,
            waiting: Vec::new(),
        };
        Self {
            nodes_given: self.nodes_given,
            members: self.members.iter().map(|(node, there)| (*node, member(there))).collect(),
            owners: self.owners.clone(),
            owners_version: self.owners_version,
            parcels_max: self.parcels_max,
            bytes_max: self.bytes_max,
            log_identity: self.log_identity,
            waiting_in_vain: Vec::new(),
            frozen: self.frozen.clone(),
            sends: self.sends.clone(),
            lost: self.lost.clone(),
            held: self.held.clone(),
        }
    }

    pub(super) fn new(parcels_max: usize, bytes_max: usize) -> Self {
        Self {
            nodes_given: 0,
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            owners_version: 0,
            parcels_max,
            bytes_max,
            log_identity: 1,
            waiting_in_vain: Vec::new(),
            frozen: BTreeSet::new(),
            sends: VecDeque::new(),
            lost: BTreeMap::new(),
            held: BTreeSet::new(),
        }
    }

    pub(super) fn skip_numbers(&mut self, by: u32) {
        self.nodes_given += by;
        self.members.values_mut().for_each(|there| there.parcels_taken += u64::from(by));
    }

    pub(super) fn join(&mut self, card: Bytes) -> NodeId {
        self.nodes_given += 1;
        let node = NodeId(self.nodes_given);
        self.members.insert(node, Present { card, ..Present::default() });
        node
    }

    pub(super) fn beat(&mut self, node: NodeId, card: Bytes) -> Result<(), ExchangeError> {
        if self.frozen.contains(&node) {
            return Err(ExchangeError::Unavailable("planned".into()));
        }
        let member = self.members.get_mut(&node).ok_or(ExchangeError::Gone)?;
        member.beat += 1;
        member.card = card;
        Ok(())
    }

    pub(super) fn picture(&self, known_owners: Option<u64>) -> Picture {
        let owners = || self.owners.iter().map(|(shard, owner)| (*shard, *owner)).collect();
        let member = |(node, there): (&NodeId, &Present)| Member { node: *node, beat: there.beat, card: there.card.clone() };
        Picture {
            members: self.members.iter().map(member).collect(),
            owners_version: self.owners_version,
            owners: (known_owners != Some(self.owners_version)).then(owners),
            log_identity: self.log_identity,
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        if let Some(mut member) = self.members.remove(&node) {
            member.wake();
        }
    }

    pub(super) fn publish(&mut self, owners: &[(ShardId, Owner)]) {
        let mut changed = false;
        for (shard, owner) in owners {
            // Under one epoch, a shard is owned first and given back then.
            let rank = |owner: &Owner| (owner.epoch, owner.node.is_none());
            let known = self.owners.get(shard).map_or((Epoch(0), false), rank);
            if rank(owner) > known {
                self.owners.insert(*shard, *owner);
                changed = true;
            }
        }
        self.owners_version += u64::from(changed);
    }

    pub(super) fn send(&mut self, to: NodeId, parcels: Vec<Bytes>) -> Result<(), ExchangeError> {
        if let Some(planned) = self.sends.pop_front() {
            return Err(planned);
        }
        let member = self.members.get_mut(&to).ok_or(ExchangeError::Gone)?;
        let bytes: usize = parcels.iter().map(Bytes::len).sum();
        if member.parcels.len() + parcels.len() > self.parcels_max || member.bytes + bytes > self.bytes_max {
            return Err(ExchangeError::Full);
        }
        let lost = self.lost.entry(to).or_default();
        for parcel in parcels {
            member.parcels_taken += 1;
            if *lost > 0 {
                *lost -= 1;
                continue;
            }
            member.bytes += parcel.len();
            member.parcels.push_back((Position(member.parcels_taken, 0), parcel));
        }
        if !self.held.contains(&to) {
            member.wake();
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, node: NodeId, after: Position) -> Result<Vec<(Position, Bytes)>, ExchangeError> {
        let member = self.members.get_mut(&node).ok_or(ExchangeError::Gone)?;
        while member.parcels.front().is_some_and(|(position, _)| *position <= after) {
            let read = member.parcels.pop_front();
            member.bytes -= read.map_or(0, |(_, parcel)| parcel.len());
            member.shown = member.shown.map(|shown| shown.saturating_sub(1));
        }
        let shown = member.shown.unwrap_or(member.parcels.len());
        Ok(member.parcels.iter().take(shown).cloned().collect())
    }

    /// Resolves when there may be something new in the box.
    pub(super) fn arrival(&mut self, node: NodeId) -> oneshot::Receiver<()> {
        let (wake, arrival) = oneshot::channel();
        let waiting = self.members.get_mut(&node).map_or(&mut self.waiting_in_vain, |member| &mut member.waiting);
        waiting.retain(|waiting| !waiting.is_closed());
        waiting.push(wake);
        arrival
    }

    pub(super) fn wake_all(&mut self) {
        self.members.values_mut().for_each(Present::wake);
        self.waiting_in_vain.clear();
    }

    pub(super) fn forget_everything(&mut self) {
        for (_, mut member) in std::mem::take(&mut self.members) {
            member.wake();
        }
        self.owners.clear();
        self.owners_version = 0;
        self.log_identity += 1;
    }

    pub(super) fn hold(&mut self, node: NodeId) {
        if let Some(member) = self.members.get_mut(&node)
            && self.held.insert(node)
        {
            member.shown = Some(member.parcels.len());
        }
    }

    pub(super) fn release(&mut self, node: NodeId) {
        self.held.remove(&node);
        if let Some(member) = self.members.get_mut(&node) {
            member.shown = None;
            member.wake();
        }
    }
}
