//! Which engine should own which shard: rendezvous hashing. Every process computes the same from the same list, and when
//! one comes or goes, only the shards that it gains or loses move.

use jono_store::{NodeId, ShardId};

/// Who should own the shard: whoever of these has the highest draw for it. `None` of nobody.
pub(crate) fn owner_of(shard: ShardId, engines: &[NodeId]) -> Option<NodeId> {
    engines.iter().copied().max_by_key(|node| (draw(*node, shard), *node))
}

/// A number that is as good as drawn by lot, and the same everywhere (the finalizer of SplitMix64).
fn draw(node: NodeId, shard: ShardId) -> u64 {
    let mut mixed = (u64::from(node.0) << 16 | u64::from(shard.0)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(engines: &[u32]) -> Vec<Option<u32>> {
        let engines: Vec<NodeId> = engines.iter().map(|node| NodeId(*node)).collect();
        (0..256).map(|shard| owner_of(ShardId(shard), &engines).map(|node| node.0)).collect()
    }

    #[test]
    fn shards_are_spread_and_only_what_must_move_moves() {
        assert_eq!(owners(&[]), vec![None; 256]);
        let three = owners(&[1, 2, 3]);
        for node in 1..=3 {
            let count = three.iter().filter(|owner| **owner == Some(node)).count();
            assert!((60..=110).contains(&count), "{node} has {count} of 256");
        }
        assert_eq!(three, owners(&[3, 1, 2]), "in whatever order they are listed");
        let two = owners(&[1, 3]);
        for (before, after) in three.iter().zip(&two) {
            assert!(before == after || *before == Some(2), "only those of the one that went move");
        }
        let four = owners(&[1, 2, 3, 4]);
        for (before, after) in three.iter().zip(&four) {
            assert!(before == after || *after == Some(4), "only to the one that came");
        }
    }
}
