//! A flood, alone in its process: its cost is read from the process's resident memory.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use common::*;
use jono_socket::SocketLimits;
use tokio::io::AsyncWriteExt as _;

#[actix_rt::test]
async fn a_ping_flood_by_one_that_does_not_read_is_bounded() {
    let mut running = start(SocketLimits {
        frames_burst: u32::MAX,
        bytes_burst: u32::MAX,
        bytes_per_second: u32::MAX,
        frames_per_second: u32::MAX,
        ..SocketLimits::default()
    });
    let (mut other, _) = running.connect().await;
    let mut flood = connect_raw(running.addr()).await;
    running.event().await;
    let mut pings = Vec::new();
    for _ in 0..1_000 {
        pings.extend(frame(0x89, &[b'p'; 125]));
    }
    let before = resident_kib();
    // 65 MB of pings; the server may read them all, and must not keep 65 MB of pongs.
    for _ in 0..500 {
        within(flood.write_all(&pings)).await.unwrap();
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
    say(&mut other, "undisturbed").await;
    assert_eq!(hear(&mut other).await, "undisturbed");
    drop((other, flood));
    running.stop().await;
}
