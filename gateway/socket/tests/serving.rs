//! What an open socket does, and that nobody's trouble is another's.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use common::*;
use futures_util::{SinkExt as _, StreamExt as _};
use jono_socket::{Closed, SocketLimits, Text};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

#[actix_rt::test]
async fn it_echoes() {
    let mut running = start(SocketLimits::default());
    let (mut client, _) = running.connect().await;
    for text in ["hello", "", "grüße", &"x".repeat(60_000), "after the long one"] {
        say(&mut client, text).await;
        assert_eq!(hear(&mut client).await, text);
    }
    client.send(Message::Ping(b"p"[..].into())).await.unwrap();
    let pong = within(client.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(b"p"[..].into()));
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn many_messages_in_one_read_are_all_answered_in_order() {
    let mut running = start(SocketLimits {
        // The wheel visits all the time, and gives buffers back when it may.
        heartbeat_ms: 10_000,
        silent_ms: 10_064,
        ..SocketLimits::default()
    });
    let (mut client, _) = running.connect().await;
    for round in 0..20 {
        for at in 0..40 {
            let text = format!("{round}/{at} {}", "y".repeat(at * 50));
            client.feed(Message::text(text)).await.unwrap();
        }
        client.flush().await.unwrap();
        for at in 0..40 {
            let expected = format!("{round}/{at} {}", "y".repeat(at * 50));
            assert_eq!(hear(&mut client).await, expected);
        }
    }
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn a_text_longer_than_a_fragment_arrives_whole() {
    let mut running = start(SocketLimits::default());
    let (mut client, id) = running.connect().await;
    say(&mut client, "produce 200000").await;
    assert_eq!(hear(&mut client).await.len(), 200_000);
    let board = running.server.switchboard().clone();
    let text = Text::from("z".repeat(100_000));
    board.tell_many((0..2).map(|_| (id, text.clone())));
    for _ in 0..2 {
        assert_eq!(hear(&mut client).await.len(), 100_000);
    }
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn a_session_that_waits_for_the_peer_may_send_any_amount() {
    let mut running = start(SocketLimits::default());
    let (mut client, _) = running.connect().await;
    say(&mut client, "stream 200").await;
    for left in (0..200).rev() {
        let text = hear(&mut client).await;
        assert_eq!(text.len(), 50_000);
        assert_eq!(text.trim_start(), left.to_string());
    }
    say(&mut client, "done").await;
    assert_eq!(hear(&mut client).await, "done");
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn bytes_behind_the_handshake_are_not_lost() {
    let running = start(SocketLimits::default());
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    let mut bytes = b"GET /hello HTTP/1.1\r\nHost: test\r\n\r\n".to_vec();
    bytes.extend(request("/ws", "").as_bytes());
    bytes.extend(frame(0x81, b"one"));
    bytes.extend(frame(0x81, b"two"));
    stream.write_all(&bytes).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = [0; 5];
    within(stream.read_exact(&mut body)).await.unwrap();
    assert_eq!(&body, b"hello");
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(read_frame(&mut stream).await, (0x81, b"one".to_vec()));
    assert_eq!(read_frame(&mut stream).await, (0x81, b"two".to_vec()));
    drop(stream);
    running.stop().await;
}

#[actix_rt::test]
async fn a_stale_id_reaches_nobody() {
    let mut running = start(SocketLimits::default());
    let board = running.server.switchboard().clone();
    let mut stale = Vec::new();
    for _ in 0..4 {
        let (client, id) = running.connect().await;
        drop(client);
        assert_eq!(running.event().await, Event::Closed(id, Closed::Lost));
        stale.push(id);
    }
    let (mut client, id) = running.connect().await;
    board.tell_many(stale.iter().map(|id| (*id, Text::from("for another"))));
    board.tell(id, Text::from("for you"));
    assert_eq!(hear(&mut client).await, "for you");
    let reached = jono_socket::SocketId::from_bits(id.to_bits());
    board.tell(reached, Text::from("again"));
    assert_eq!(hear(&mut client).await, "again");
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn a_slow_reader_is_cut_while_another_keeps_echoing() {
    let mut running = start(SocketLimits { closing_ms: 300, frames_burst: 100_000, ..SocketLimits::default() });
    let mut slow = connect_raw(running.addr()).await;
    let Event::Opened(id) = running.event().await else { panic!("opened comes first") };
    let (mut quick, _) = running.connect().await;
    let board = running.server.switchboard().clone();
    let text = Text::from("z".repeat(16 * 1024));
    let mut rounds = 0;
    let closed = loop {
        board.tell(id, text.clone());
        say(&mut quick, "tick").await;
        assert_eq!(hear(&mut quick).await, "tick");
        rounds += 1;
        assert!(rounds < 4096, "64 MB are more than any buffer");
        if let Ok(event) = running.events.try_recv() {
            break event;
        }
    };
    assert_eq!(closed, Event::Closed(id, Closed::Here { code: 4003 }));
    // It does not read, so it is reset, and nothing is kept for it.
    let stats = running.server.stats().clone();
    within(async {
        while stats.open() > 1 {
            say(&mut quick, "tock").await;
            assert_eq!(hear(&mut quick).await, "tock");
        }
    })
    .await;
    let mut rest = Vec::new();
    assert!(within(slow.read_to_end(&mut rest)).await.is_err());
    assert_eq!(running.counts().closed_with(4003), 1);
    drop(quick);
    running.stop().await;
}

#[actix_rt::test]
async fn one_that_was_slow_and_reads_again_learns_why() {
    let mut running = start(SocketLimits::default());
    let (mut client, id) = running.connect().await;
    let board = running.server.switchboard().clone();
    let text = Text::from("z".repeat(16 * 1024));
    let closed = loop {
        board.tell(id, text.clone());
        if let Ok(event) = running.events.try_recv() {
            break event;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(closed, Event::Closed(id, Closed::Here { code: 4003 }));
    assert_eq!(close_code(&mut client).await, 4003);
    drop(client);
    running.stop().await;
}

#[actix_rt::test]
async fn a_reader_that_stops_and_goes_on_misses_nothing() {
    let mut running = start(SocketLimits { bytes_burst: 64 << 20, frames_burst: 100_000, ..SocketLimits::default() });
    let (client, _) = running.connect().await;
    let (mut sink, mut stream) = client.split();
    let text = "w".repeat(20_000);
    let sent = text.clone();
    // 40 MB of echo are more than the kernel holds: the server stops reading, and goes on.
    let writer = actix_rt::spawn(async move {
        for _ in 0..2_000 {
            sink.send(Message::text(sent.clone())).await.unwrap();
        }
        sink
    });
    within(async {
        let mut open = 0;
        while running.counts().outbox_bytes == 0 {
            open += 1;
            assert!(open < 1_000_000, "the echo must pile up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    for _ in 0..2_000 {
        let message = within(stream.next()).await.unwrap().unwrap();
        assert_eq!(message, Message::text(text.clone()));
    }
    let sink = within(writer).await.unwrap();
    drop((sink, stream));
    running.stop().await;
}

#[actix_rt::test]
async fn the_default_rates_cut_a_ping_flood_with_4005() {
    let mut running = start(SocketLimits::default());
    let mut flood = connect_raw(running.addr()).await;
    let Event::Opened(id) = running.event().await else { panic!("opened comes first") };
    let mut pings = Vec::new();
    for _ in 0..2_000 {
        pings.extend(frame(0x89, b""));
    }
    flood.write_all(&pings).await.unwrap();
    assert_eq!(raw_close_code(&mut flood).await, 4005);
    let closed = Event::Closed(id, Closed::Here { code: 4005 });
    assert_eq!(running.event().await, closed);
    drop(flood);
    running.stop().await;
}
