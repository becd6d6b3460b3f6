//! What processes send each other, as bytes: parcels of numbered items. The numbers tell the receiver what it has had already
//! and that something is missing; nothing else is needed of whatever carries the parcels.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use jono_domain::id::OrganisationId;
use jono_store::{Epoch, NodeId, Owner, ShardId};
use serde::{Deserialize, Serialize};

use super::limits::PARCEL_BYTES_MAX;
use crate::codec;
use crate::delivery::Delivery;
use crate::letter::Letter;

/// The form of parcels that this Jono speaks.
const VERSION: u8 = 2;
/// Version, sender, log, way, number.
const HEAD_BYTES: usize = 1 + 4 + 8 + 8 + 8;

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

/// Where a parcel stands among those of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) from: NodeId,
    /// The log whose records the sender knows: none of another have a meaning for it. 0 if it has not looked.
    pub(crate) log: u64,
    /// The sender's way to the receiver, of which it may have opened several, one after the other: later ones have larger numbers.
    pub(crate) way: u64,
    /// On that way, from 1.
    pub(crate) number: u64,
}

/// Items in as few parcels as they fit, at least one, numbered on from the stamp, which becomes the last one's.
pub(crate) fn pack(stamp: &mut Stamp, items: &[Bytes]) -> Vec<Bytes> {
    let mut parcels = Vec::new();
    let mut parcel = begin(stamp);
    for item in items {
        if parcel.len() > HEAD_BYTES && parcel.len() + item.len() > PARCEL_BYTES_MAX {
            parcels.push(std::mem::replace(&mut parcel, begin(stamp)).freeze());
        }
        parcel.put_u32(item.len() as u32);
        parcel.put_slice(item);
    }
    parcels.push(parcel.freeze());
    parcels
}

fn begin(stamp: &mut Stamp) -> BytesMut {
    stamp.number += 1;
    let mut parcel = BytesMut::new();
    parcel.put_u8(VERSION);
    parcel.put_u32(stamp.from.0);
    parcel.put_u64(stamp.log);
    parcel.put_u64(stamp.way);
    parcel.put_u64(stamp.number);
    parcel
}

/// A parcel that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) stamp: Stamp,
    pub(crate) items: Vec<Bytes>,
}

/// Takes a parcel apart; `None` if it is none that this Jono can read.
pub(crate) fn unpack(parcel: &Bytes) -> Option<Parcel> {
    let mut head = parcel.get(..HEAD_BYTES)?;
    if head.get_u8() != VERSION {
        return None;
    }
    let stamp = Stamp { from: NodeId(head.get_u32()), log: head.get_u64(), way: head.get_u64(), number: head.get_u64() };
    let mut items = Vec::new();
    let mut at = HEAD_BYTES;
    while at < parcel.len() {
        let len = u32::from_be_bytes(parcel.get(at..at + 4)?.try_into().ok()?) as usize;
        let end = (at + 4).checked_add(len).filter(|end| *end <= parcel.len())?;
        items.push(parcel.slice(at + 4..end));
        at = end;
    }
    Some(Parcel { stamp, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_in_numbered_parcels() {
        let items: Vec<Bytes> = (0..5u8).map(|item| Bytes::from(vec![item; PARCEL_BYTES_MAX / 3])).collect();
        let mut stamp = Stamp { from: NodeId(9), log: 5, way: 3, number: 7 };
        let parcels = pack(&mut stamp, &items);
        assert_eq!((parcels.len(), stamp.number), (3, 10));
        let unpacked: Vec<Parcel> = parcels.iter().filter_map(unpack).collect();
        let stamps = [8, 9, 10].map(|number| Stamp { number, ..stamp });
        assert_eq!(unpacked.iter().map(|parcel| parcel.stamp).collect::<Vec<_>>(), stamps);
        assert_eq!(unpacked.into_iter().flat_map(|parcel| parcel.items).collect::<Vec<_>>(), items);
        let nothing = pack(&mut stamp, &[]);
        assert_eq!(nothing.iter().filter_map(unpack).collect::<Vec<_>>(), [Parcel { stamp, items: Vec::new() }]);
        assert_eq!(stamp.number, 11, "nothing is numbered too");
    }

    #[test]
    fn bytes_that_are_no_parcel_are_refused() {
        let mut stamp = Stamp { from: NodeId(9), log: 5, way: 1, number: 0 };
        let parcel = pack(&mut stamp, &[Bytes::from_static(b"item")]).remove(0);
        for cut in 0..parcel.len() {
            let whole_items = cut == HEAD_BYTES;
            assert_eq!(unpack(&parcel.slice(..cut)).is_some(), whole_items, "cut at {cut}");
        }
        let mut other = parcel.to_vec();
        other[0] = 99;
        assert_eq!(unpack(&other.into()), None);
    }
}
