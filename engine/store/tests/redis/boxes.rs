//! Boxes on a real server: what becomes of them when Redis, or their member, goes.

use std::time::Duration;

use bytes::Bytes;
use jono_store::{Durability, Exchange, ExchangeError, Position};
use jono_test_redis::RedisServer;

use crate::kit::{DISK, block_on, connect, eventually};

fn parcel(text: &str) -> Vec<Bytes> {
    vec![Bytes::from(text.to_owned())]
}

#[test]
fn a_box_lasts_as_long_as_its_member_beats() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Memory).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        for name in ["box", "gone"] {
            let key = format!("jono:{{n{}}}:{name}", node.0);
            server.run(&format!("PEXPIRE {key} 5000"));
            exchange.beat(node, Bytes::new(), 0).await.unwrap();
            assert!(server.run(&format!("PTTL {key}")).number() > 30_000);
        }
        server.run(&format!("DEL jono:{{n{}}}:box", node.0));
        assert_eq!(exchange.send(node, parcel("a")).await, Err(ExchangeError::Gone));
        assert_eq!(exchange.beat(node, Bytes::new(), 0).await, Err(ExchangeError::Gone));
        assert_eq!(exchange.look().await.unwrap().members, []);
    });
}

#[test]
fn a_damaged_entry_is_left_out() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Memory).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        exchange.send(node, parcel("a")).await.unwrap();
        server.run(&format!("XADD jono:{{n{}}}:box 6-1 p rubbish", node.0));
        exchange.send(node, parcel("bb")).await.unwrap();
        let found = exchange.receive(node, Position::START, Duration::ZERO).await.unwrap();
        assert_eq!(found.iter().map(|(_, parcel)| &**parcel).collect::<Vec<_>>(), [&b"a"[..], b"bb"]);
    });
}

#[test]
fn what_was_read_is_dropped() {
    let server = RedisServer::start(&[]);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Memory).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        let mut after = Position::START;
        let large = vec![Bytes::from(vec![b'x'; 100_000]); 10];
        for _ in 0..20 {
            exchange.send(node, large.clone()).await.unwrap();
            let found = exchange.receive(node, after, Duration::ZERO).await.unwrap();
            assert_eq!(found.len(), 10);
            after = found[9].0;
        }
        let left = server.run(&format!("XLEN jono:{{n{}}}:box", node.0)).number();
        assert!(left <= 4, "{left} entries of a megabyte are left");
    });
}

#[test]
fn a_reader_goes_on_after_every_kind_of_break() {
    let mut server = RedisServer::start(DISK);
    block_on(async {
        let (_, exchange) = connect(server.url(), Durability::Memory).await;
        let node = exchange.join(Bytes::new()).await.unwrap();
        let mut after = Position::START;
        for round in 0..3 {
            let text = format!("round {round}");
            eventually("sent", async || exchange.send(node, parcel(&text)).await).await;
            let patience = Duration::from_secs(60);
            let found = eventually("received", async || exchange.receive(node, after, patience).await).await;
            // A send whose answer was lost was repeated.
            assert!(found.iter().all(|(_, parcel)| *parcel == text), "{found:?}");
            after = found.last().unwrap().0;
            let waiting = exchange.receive(node, after, patience);
            match round {
                0 => drop(server.run("CLIENT KILL TYPE normal")),
                1 => server.restart(),
                _ => {
                    server.freeze();
                    assert!(matches!(exchange.send(node, parcel("lost?")).await, Err(ExchangeError::Unknown(_))));
                    server.thaw();
                    let late = eventually("sent again", async || exchange.receive(node, after, patience).await).await;
                    assert!(late.iter().all(|(_, parcel)| parcel == "lost?"));
                    continue;
                }
            }
            let broken = waiting.await;
            assert!(matches!(broken, Err(ExchangeError::Unavailable(_))), "{broken:?}");
        }
    });
}
