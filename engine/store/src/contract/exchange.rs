//! What every exchange must do: one function per promise, run against a fresh exchange each.
//!
//! ```
//! use jono_store::{MemoryExchange, contract};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::exchange::run(async || MemoryExchange::with_box_limits(1000, 1_000_000)).await;
//! # }
//! ```
//!
//! The functions panic when a promise is broken. They need an exchange that nobody has joined yet, whose boxes are full
//! at some point (they fill one: small limits make it quick), and a runtime with a clock.

use std::time::Duration;

use bytes::Bytes;

use super::bytes;
use crate::{Epoch, Exchange, ExchangeError, Member, NodeId, Owner, Picture, Position, ShardId};

/// Runs every promise, each against an exchange that `make` gives.
pub async fn run<E: Exchange>(make: impl AsyncFn() -> E) {
    macro_rules! each {
        ($($promise:ident),* $(,)?) => {$(
            $promise(&make().await).await;
        )*};
    }
    each![
        members_join_beat_and_are_removed,
        node_numbers_are_never_given_twice,
        who_only_looks_is_no_member,
        owners_are_sent_when_they_changed,
        the_latest_epoch_owns,
        a_shard_is_given_back_under_its_epoch,
        parcels_arrive_in_order,
        parcels_may_be_of_any_size,
        every_member_has_a_box_of_its_own,
        reading_goes_on_from_anywhere,
        who_waits_is_woken,
        patience_ends,
        a_box_that_is_gone_takes_nothing,
        a_full_box_takes_nothing_until_it_is_read,
        the_records_keep_their_identity,
    ];
}

/// Nothing that is there already is waited for.
const NO_PATIENCE: Duration = Duration::from_millis(1);

/// More than any exchange takes for anything.
const LONG: Duration = Duration::from_secs(60);

async fn join(exchange: &impl Exchange) -> NodeId {
    exchange.join(bytes("card")).await.expect("a process can join")
}

async fn beat(exchange: &impl Exchange, node: NodeId) -> Picture {
    exchange.beat(node, bytes("card"), 0).await.expect("a member can beat")
}

async fn send(exchange: &impl Exchange, to: NodeId, parcels: &[&str]) {
    exchange.send(to, parcels.iter().map(|text| bytes(text)).collect()).await.expect("a box takes parcels");
}

async fn receive(exchange: &impl Exchange, node: NodeId, after: Position) -> Vec<(Position, Bytes)> {
    exchange.receive(node, after, NO_PATIENCE).await.expect("a member can read its box")
}

/// Reads until that many have come.
async fn receive_all(exchange: &impl Exchange, node: NodeId, mut after: Position, count: usize) -> Vec<(Position, Bytes)> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = exchange.receive(node, after, LONG).await.expect("a member can read its box");
        after = some.last().expect("something comes").0;
        all.extend(some);
    }
    all
}

fn texts(parcels: &[(Position, Bytes)]) -> Vec<&str> {
    parcels.iter().map(|(_, parcel)| std::str::from_utf8(parcel).expect("texts were sent")).collect()
}

fn owned(shard: u16, node: NodeId, epoch: u64) -> (ShardId, Owner) {
    (ShardId(shard), Owner { node: Some(node), epoch: Epoch(epoch) })
}

fn given_back(shard: u16, epoch: u64) -> (ShardId, Owner) {
    (ShardId(shard), Owner { node: None, epoch: Epoch(epoch) })
}

async fn owners(exchange: &impl Exchange) -> Vec<(ShardId, Owner)> {
    exchange.look().await.expect("anybody can look").owners.expect("who only looks is told everything")
}

/// Everybody sees everybody, by number, with the last card and the number of beats, until they are removed.
pub async fn members_join_beat_and_are_removed(exchange: &impl Exchange) {
    let (first, second) = (join(exchange).await, join(exchange).await);
    assert!(first.0 > 0 && second > first, "{first:?} {second:?}");
    let before = beat(exchange, first).await.members;
    let member = |node, beat: u64, card| Member { node, beat, card: bytes(card) };
    assert_eq!(before.len(), 2);
    let start = [before[0].beat, before[1].beat];
    beat(exchange, first).await;
    exchange.beat(second, bytes("new card"), 0).await.expect("a member can beat");
    let now = beat(exchange, first).await.members;
    assert_eq!(now, [member(first, start[0] + 2, "card"), member(second, start[1] + 1, "new card")]);
    assert_eq!(exchange.remove(second).await, Ok(()));
    assert_eq!(exchange.remove(second).await, Ok(()), "removing twice is no error");
    assert_eq!(beat(exchange, first).await.members, [member(first, start[0] + 3, "card")]);
    assert_eq!(exchange.beat(second, bytes("card"), 0).await, Err(ExchangeError::Gone));
    assert_eq!(exchange.beat(NodeId(u32::MAX), bytes("card"), 0).await, Err(ExchangeError::Gone));
    assert_eq!(beat(exchange, first).await.members.len(), 1, "a beat that came too late brings nobody back");
}

/// A process that joins is never taken for one that has been there.
pub async fn node_numbers_are_never_given_twice(exchange: &impl Exchange) {
    let mut given = Vec::new();
    for _ in 0..5 {
        let node = join(exchange).await;
        assert!(!given.contains(&node));
        given.push(node);
        exchange.remove(node).await.expect("a member can be removed");
    }
}

/// Looking changes nothing.
pub async fn who_only_looks_is_no_member(exchange: &impl Exchange) {
    let empty = exchange.look().await.expect("anybody can look");
    assert_eq!((empty.members, empty.owners), (Vec::new(), Some(Vec::new())));
    let node = join(exchange).await;
    let first = exchange.look().await.expect("anybody can look");
    let second = exchange.look().await.expect("anybody can look");
    assert_eq!(first, second);
    assert_eq!(first.members.iter().map(|member| member.node).collect::<Vec<_>>(), [node]);
}

/// Who knows the newest version is spared the list.
pub async fn owners_are_sent_when_they_changed(exchange: &impl Exchange) {
    let node = join(exchange).await;
    exchange.publish_owners(vec![owned(1, node, 5), owned(2, node, 7)]).await.expect("owners can be published");
    let picture = beat(exchange, node).await;
    assert_eq!(picture.owners, Some(vec![owned(1, node, 5), owned(2, node, 7)]));
    let known = picture.owners_version;
    let again = exchange.beat(node, bytes("card"), known).await.expect("a member can beat");
    assert_eq!((again.owners_version, again.owners), (known, None));
    exchange.publish_owners(vec![owned(2, node, 8)]).await.expect("owners can be published");
    let changed = exchange.beat(node, bytes("card"), known).await.expect("a member can beat");
    assert!(changed.owners_version > known);
    assert_eq!(changed.owners, Some(vec![owned(1, node, 5), owned(2, node, 8)]));
    // The owners of a member outlive it: whoever takes over needs them.
    exchange.remove(node).await.expect("a member can be removed");
    assert_eq!(owners(exchange).await, [owned(1, node, 5), owned(2, node, 8)]);
}

/// What comes late, under an earlier epoch, is ignored.
pub async fn the_latest_epoch_owns(exchange: &impl Exchange) {
    let (first, second) = (join(exchange).await, join(exchange).await);
    exchange.publish_owners(vec![owned(3, second, 6)]).await.expect("owners can be published");
    let version = exchange.look().await.expect("anybody can look").owners_version;
    exchange.publish_owners(vec![owned(3, first, 5), given_back(3, 5)]).await.expect("owners can be published");
    assert_eq!(owners(exchange).await, [owned(3, second, 6)]);
    assert_eq!(exchange.look().await.expect("anybody can look").owners_version, version, "nothing changed");
    exchange.publish_owners(vec![owned(3, first, u64::MAX - 1), owned(4, first, 1)]).await.expect("owners can be published");
    exchange.publish_owners(vec![owned(3, second, u64::MAX - 2)]).await.expect("owners can be published");
    assert_eq!(owners(exchange).await, [owned(3, first, u64::MAX - 1), owned(4, first, 1)], "large epochs are compared exactly");
}

/// Giving back counts over owning under the same epoch, whichever comes first.
pub async fn a_shard_is_given_back_under_its_epoch(exchange: &impl Exchange) {
    let node = join(exchange).await;
    exchange.publish_owners(vec![owned(3, node, 5)]).await.expect("owners can be published");
    exchange.publish_owners(vec![given_back(3, 5)]).await.expect("owners can be published");
    assert_eq!(owners(exchange).await, [given_back(3, 5)]);
    exchange.publish_owners(vec![owned(3, node, 5)]).await.expect("owners can be published");
    assert_eq!(owners(exchange).await, [given_back(3, 5)]);
    exchange.publish_owners(vec![owned(3, node, 6)]).await.expect("owners can be published");
    assert_eq!(owners(exchange).await, [owned(3, node, 6)]);
}

/// Parcels of one call, and of calls that follow each other, keep their order, at growing positions.
pub async fn parcels_arrive_in_order(exchange: &impl Exchange) {
    let node = join(exchange).await;
    assert_eq!(receive(exchange, node, Position::START).await, []);
    send(exchange, node, &["a", "b", "c"]).await;
    send(exchange, node, &["d"]).await;
    send(exchange, node, &[]).await;
    send(exchange, node, &["e", "f"]).await;
    let all = receive_all(exchange, node, Position::START, 6).await;
    assert_eq!(texts(&all), ["a", "b", "c", "d", "e", "f"]);
    assert!(all.is_sorted_by(|before, after| before.0 < after.0), "{all:?}");
    assert!(all[0].0 > Position::START);
    assert_eq!(receive(exchange, node, all[5].0).await, []);
    send(exchange, node, &["g"]).await;
    assert_eq!(texts(&receive(exchange, node, all[5].0).await), ["g"]);
}

/// Empty ones, and such as a large batch of deliveries.
pub async fn parcels_may_be_of_any_size(exchange: &impl Exchange) {
    let node = join(exchange).await;
    let large: Bytes = (0..200_000_u32).map(|n| (n * 31 % 251) as u8).collect();
    let parcels = vec![Bytes::new(), large.clone(), Bytes::from_static(b"\0\xFF\r\n")];
    exchange.send(node, parcels.clone()).await.expect("a box takes parcels");
    let found = receive_all(exchange, node, Position::START, 3).await;
    assert_eq!(found.into_iter().map(|(_, parcel)| parcel).collect::<Vec<_>>(), parcels);
}

/// What is sent to one is seen by nobody else.
pub async fn every_member_has_a_box_of_its_own(exchange: &impl Exchange) {
    let (first, second) = (join(exchange).await, join(exchange).await);
    send(exchange, first, &["for the first"]).await;
    send(exchange, second, &["for the second"]).await;
    assert_eq!(texts(&receive(exchange, first, Position::START).await), ["for the first"]);
    assert_eq!(texts(&receive(exchange, second, Position::START).await), ["for the second"]);
}

/// Any position that was given is a place to go on from, also in the middle of what was sent in one call; what was not
/// yet passed over comes again.
pub async fn reading_goes_on_from_anywhere(exchange: &impl Exchange) {
    let node = join(exchange).await;
    send(exchange, node, &["a", "b", "c"]).await;
    send(exchange, node, &["d", "e"]).await;
    let all = receive_all(exchange, node, Position::START, 5).await;
    assert_eq!(receive_all(exchange, node, Position::START, 5).await, all, "nothing was passed over");
    for passed in 0..5 {
        assert_eq!(receive(exchange, node, all[passed].0).await, all[passed + 1..], "after {passed}");
    }
}

/// A reader that waits hears of what comes, and of nothing else.
pub async fn who_waits_is_woken(exchange: &impl Exchange) {
    let node = join(exchange).await;
    let other = join(exchange).await;
    let mut after = Position::START;
    for text in ["a", "b", "c"] {
        let (found, ()) = futures_util::future::join(exchange.receive(node, after, LONG), async {
            send(exchange, other, &["elsewhere"]).await;
            send(exchange, node, &[text]).await;
        })
        .await;
        let found = found.expect("a member can read its box");
        assert_eq!(texts(&found), [text]);
        after = found[0].0;
    }
}

/// Nothing is no error.
pub async fn patience_ends(exchange: &impl Exchange) {
    let node = join(exchange).await;
    assert_eq!(exchange.receive(node, Position::START, Duration::ZERO).await, Ok(Vec::new()));
    assert_eq!(exchange.receive(node, Position::START, Duration::from_millis(20)).await, Ok(Vec::new()));
    assert_eq!(exchange.receive(node, Position(u64::MAX, u64::MAX), NO_PATIENCE).await, Ok(Vec::new()));
}

/// Nobody has a box before joining and after being removed.
pub async fn a_box_that_is_gone_takes_nothing(exchange: &impl Exchange) {
    let node = join(exchange).await;
    send(exchange, node, &["a"]).await;
    exchange.remove(node).await.expect("a member can be removed");
    for gone in [node, NodeId(u32::MAX)] {
        assert_eq!(exchange.send(gone, vec![bytes("b")]).await, Err(ExchangeError::Gone));
        assert_eq!(exchange.receive(gone, Position::START, NO_PATIENCE).await, Err(ExchangeError::Gone));
    }
}

/// What does not fit is refused wholly; when what is there was read, there is room again.
pub async fn a_full_box_takes_nothing_until_it_is_read(exchange: &impl Exchange) {
    let node = join(exchange).await;
    let parcel = Bytes::from(vec![b'x'; 10_000]);
    let mut sent = 0;
    let refusal = loop {
        match exchange.send(node, vec![parcel.clone(), parcel.clone()]).await {
            Ok(()) => sent += 2,
            Err(refusal) => break refusal,
        }
        assert!(sent < 1_000_000, "a box has a limit");
    };
    assert_eq!(refusal, ExchangeError::Full);
    let all = receive_all(exchange, node, Position::START, sent).await;
    assert_eq!(all.len(), sent, "of what was refused nothing is there");
    let last = all[sent - 1].0;
    assert_eq!(receive(exchange, node, last).await, []);
    exchange.send(node, vec![bytes("room again")]).await.expect("what was passed over makes room");
    assert_eq!(texts(&receive(exchange, node, last).await), ["room again"]);
}

/// As long as nothing is lost, all see the same identity.
pub async fn the_records_keep_their_identity(exchange: &impl Exchange) {
    let identity = exchange.look().await.expect("anybody can look").log_identity;
    let node = join(exchange).await;
    for _ in 0..3 {
        assert_eq!(beat(exchange, node).await.log_identity, identity);
    }
    exchange.remove(node).await.expect("a member can be removed");
    assert_eq!(exchange.look().await.expect("anybody can look").log_identity, identity);
}
