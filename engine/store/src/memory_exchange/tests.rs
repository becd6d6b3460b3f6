//! The contract, and that planned faults do what they say.

use super::*;
use crate::contract;

const NO_PATIENCE: Duration = Duration::ZERO;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn parcel(text: &'static str) -> Vec<Bytes> {
    vec![Bytes::from_static(text.as_bytes())]
}

async fn contents(exchange: &MemoryExchange, node: NodeId) -> Vec<Bytes> {
    let found = exchange.receive(node, Position::START, NO_PATIENCE).await.unwrap();
    found.into_iter().map(|(_, parcel)| parcel).collect()
}

#[test]
fn passes_the_contract() {
    block_on(contract::exchange::run(async || MemoryExchange::with_box_limits(1000, 1_000_000)));
}

#[test]
fn lost_parcels_are_simply_not_there() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let node = exchange.join(Bytes::new()).await.unwrap();
        exchange.faults().lose_parcels(node, 2);
        for text in ["a", "b", "c"] {
            exchange.send(node, parcel(text)).await.unwrap();
        }
        assert_eq!(contents(&exchange, node).await, ["c"]);
    });
}

#[test]
fn planned_sends_fail_in_order() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let node = exchange.join(Bytes::new()).await.unwrap();
        let lost = ExchangeError::Unknown("planned".into());
        exchange.faults().fail_sends(1, &lost);
        exchange.faults().fail_sends(1, &ExchangeError::Full);
        assert_eq!(exchange.send(node, parcel("a")).await, Err(lost));
        assert_eq!(exchange.send(node, parcel("b")).await, Err(ExchangeError::Full));
        assert_eq!(exchange.send(node, parcel("c")).await, Ok(()));
        assert_eq!(contents(&exchange, node).await, ["c"]);
    });
}

#[test]
fn held_parcels_come_when_they_are_released() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let node = exchange.join(Bytes::new()).await.unwrap();
        exchange.send(node, parcel("a")).await.unwrap();
        exchange.faults().hold_parcels(node);
        exchange.send(node, parcel("b")).await.unwrap();
        assert_eq!(contents(&exchange, node).await, ["a"]);
        let (first, _) = exchange.receive(node, Position::START, NO_PATIENCE).await.unwrap()[0];
        let waiting = tokio::spawn(exchange.receive(node, first, Duration::from_secs(3600)));
        tokio::task::yield_now().await;
        exchange.faults().release_parcels(node);
        assert_eq!(waiting.await.unwrap().unwrap()[0].1, "b");
    });
}

#[test]
fn a_frozen_member_does_not_beat() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let node = exchange.join(Bytes::new()).await.unwrap();
        exchange.faults().freeze_beats(node);
        assert!(matches!(exchange.beat(node, Bytes::new(), 0).await, Err(ExchangeError::Unavailable(_))));
        assert_eq!(exchange.look().await.unwrap().members[0].beat, 0);
        exchange.faults().thaw_beats(node);
        assert_eq!(exchange.beat(node, Bytes::new(), 0).await.unwrap().members[0].beat, 1);
    });
}

#[test]
fn a_connection_is_cut_by_itself() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let other = exchange.connection();
        let node = exchange.join(Bytes::new()).await.unwrap();
        let waiting = tokio::spawn(exchange.receive(node, Position::START, Duration::from_secs(3600)));
        tokio::task::yield_now().await;
        exchange.cut_off();
        assert!(matches!(exchange.clone().look().await, Err(ExchangeError::Unavailable(_))));
        other.send(node, parcel("a")).await.unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        exchange.mend();
        assert_eq!(waiting.await.unwrap().unwrap()[0].1, "a");
    });
}

#[test]
fn after_forgetting_members_are_gone_and_the_records_have_another_name() {
    block_on(async {
        let exchange = MemoryExchange::new();
        let node = exchange.join(Bytes::new()).await.unwrap();
        let before = exchange.look().await.unwrap();
        exchange.faults().forget_everything();
        assert_eq!(exchange.beat(node, Bytes::new(), 0).await, Err(ExchangeError::Gone));
        assert_ne!(exchange.look().await.unwrap().log_identity, before.log_identity);
        assert!(exchange.join(Bytes::new()).await.unwrap() > node);
    });
}
