//! What processes send each other, as bytes: parcels of numbered items. The numbers tell the receiver what it has had already
//! and that something is missing; nothing else is needed of whatever carries the parcels.

use bytes::{BufMut, Bytes, BytesMut};
use jono_domain::id::OrganisationId;
use jono_store::{Epoch, NodeId, Owner, ShardId};
use serde::{Deserialize, Serialize};

use super::limits::PARCEL_BYTES_MAX;
use crate::codec;
use crate::delivery::Delivery;
use crate::letter::Letter;

/// The form of parcels that this Jono speaks.
const VERSION: u8 = 1;
/// Version, sender, number.
const HEAD_BYTES: usize = 1 + 4 + 8;

/// One thing for another process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Item {
    /// For an entity that the other owns.
    Letter(Letter),
    /// For sessions of the other: (listener, session).
    Deliver(Vec<(u8, u64)>, Delivery),
    /// The settings of that organisation have changed.
    Settings(OrganisationId),
    /// Who owns shards now.
    Owners(Vec<(u16, Option<u32>, u64)>),
    /// What concerns these shards, which the sender owns, it should be told again.
    Announce(Vec<u16>),
    /// The sender has lost something that it was sent: the other's sessions should follow again what they follow there.
    FollowAgain,
}

impl Item {
    pub(crate) fn owners(owners: &[(ShardId, Owner)]) -> Self {
        let plain = owners.iter().map(|(shard, owner)| (shard.0, owner.node.map(|node| node.0), owner.epoch.0));
        Item::Owners(plain.collect())
    }

    pub(crate) fn encode(&self) -> Bytes {
        codec::encode(self).into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes).ok()
    }
}

/// Owners as they travelled.
pub(crate) fn owners_of(plain: &[(u16, Option<u32>, u64)]) -> Vec<(ShardId, Owner)> {
    let owner = |node: Option<u32>, epoch| Owner { node: node.map(NodeId), epoch: Epoch(epoch) };
    plain.iter().map(|(shard, node, epoch)| (ShardId(*shard), owner(*node, *epoch))).collect()
}

/// Items in as few parcels as they fit, numbered on from `number`, which becomes the last.
pub(crate) fn pack(from: NodeId, number: &mut u64, items: &[Bytes]) -> Vec<Bytes> {
    let mut parcels = Vec::new();
    let mut parcel = BytesMut::new();
    for item in items {
        if !parcel.is_empty() && parcel.len() + item.len() > PARCEL_BYTES_MAX {
            parcels.push(parcel.split().freeze());
        }
        if parcel.is_empty() {
            *number += 1;
            parcel.put_u8(VERSION);
            parcel.put_u32(from.0);
            parcel.put_u64(*number);
        }
        parcel.put_u32(item.len() as u32);
        parcel.put_slice(item);
    }
    if !parcel.is_empty() {
        parcels.push(parcel.freeze());
    }
    parcels
}

/// A parcel that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) from: NodeId,
    pub(crate) number: u64,
    pub(crate) items: Vec<Bytes>,
}

/// Takes a parcel apart; `None` if it is none that this Jono can read.
pub(crate) fn unpack(parcel: &Bytes) -> Option<Parcel> {
    let head = parcel.get(..HEAD_BYTES)?;
    let (version, rest) = head.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (from, number) = rest.split_at(4);
    let from = NodeId(u32::from_be_bytes(from.try_into().ok()?));
    let number = u64::from_be_bytes(number.try_into().ok()?);
    let mut items = Vec::new();
    let mut at = HEAD_BYTES;
    while at < parcel.len() {
        let len = u32::from_be_bytes(parcel.get(at..at + 4)?.try_into().ok()?) as usize;
        let end = (at + 4).checked_add(len).filter(|end| *end <= parcel.len())?;
        items.push(parcel.slice(at + 4..end));
        at = end;
    }
    Some(Parcel { from, number, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_in_numbered_parcels() {
        let items: Vec<Bytes> = (0..5u8).map(|item| Bytes::from(vec![item; PARCEL_BYTES_MAX / 3])).collect();
        let mut number = 7;
        let parcels = pack(NodeId(9), &mut number, &items);
        assert_eq!((parcels.len(), number), (3, 10));
        let unpacked: Vec<Parcel> = parcels.iter().filter_map(unpack).collect();
        assert_eq!(unpacked.iter().map(|parcel| (parcel.from, parcel.number)).collect::<Vec<_>>(), [8, 9, 10].map(|n| (NodeId(9), n)));
        assert_eq!(unpacked.into_iter().flat_map(|parcel| parcel.items).collect::<Vec<_>>(), items);
        assert_eq!(pack(NodeId(9), &mut number, &[]), Vec::<Bytes>::new());
    }

    #[test]
    fn bytes_that_are_no_parcel_are_refused() {
        let mut number = 0;
        let parcel = pack(NodeId(9), &mut number, &[Bytes::from_static(b"item")]).remove(0);
        for cut in 0..parcel.len() {
            let whole_items = cut == HEAD_BYTES;
            assert_eq!(unpack(&parcel.slice(..cut)).is_some(), whole_items, "cut at {cut}");
        }
        let mut other = parcel.to_vec();
        other[0] = 99;
        assert_eq!(unpack(&other.into()), None);
    }
}
