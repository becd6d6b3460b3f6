//! What a socket keeps after a long message, alone in its process: read from resident memory.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use common::*;
use jono_socket::SocketLimits;
use tokio::io::AsyncWriteExt as _;

#[actix_rt::test]
async fn a_long_message_does_not_stay_on_the_socket() {
    const SOCKETS: usize = 200;
    let mut running = start(SocketLimits::default());
    let mut clients = Vec::new();
    for _ in 0..SOCKETS {
        clients.push(connect_raw(running.addr()).await);
        running.event().await;
    }
    let long = frame(0x81, &[b'x'; 60_000]);
    let mut resident = Vec::new();
    for client in &mut clients {
        client.write_all(&long).await.unwrap();
        assert_eq!(read_frame(client).await.0, 0x01, "the first of four fragments");
        for _ in 0..3 {
            read_frame(client).await;
        }
        resident.push(resident_kib());
    }
    // Kept, it would be 64 to 124 KB a socket. The first few make the process's own working memory.
    let grown = resident[SOCKETS - 1].saturating_sub(resident[10]);
    assert!(grown / (SOCKETS - 10) < 16, "grew by {grown} KiB");
    drop(clients);
    running.stop().await;
}
