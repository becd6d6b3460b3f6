//! Every way a socket ends: which close code the peer gets, and what the session hears.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use common::*;
use futures_util::{SinkExt as _, StreamExt as _};
use jono_socket::{Closed, SocketLimits, Text};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Sends `input` after a good message; expects that message's echo, then a Close with `code`, the
/// session told the same, and the connection ended.
async fn check(limits: SocketLimits, input: &[u8], code: u16) {
    let mut running = start(limits);
    let mut stream = connect_raw(running.addr()).await;
    let Event::Opened(id) = running.event().await else { panic!("opened comes first") };
    let mut bytes = frame(0x81, b"good");
    bytes.extend(input);
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, (0x81, b"good".to_vec()));
    assert_eq!(raw_close_code(&mut stream).await, code);
    let closed = Event::Closed(id, Closed::Here { code });
    assert_eq!(running.event().await, closed);
    assert_eq!(read_rest(&mut stream).await, "");
    assert_eq!(running.counts().closed_with(code), 1);
    drop(stream);
    running.stop().await;
}

#[actix_rt::test]
async fn violations_of_the_protocol_are_1002() {
    let unmasked = [0x81, 0x02, b'h', b'i'];
    let reserved_bit = [0xc1, 0x80, 0, 0, 0, 0];
    let reserved_opcode = [0x83, 0x80, 0, 0, 0, 0];
    let lone_continuation = frame(0x80, b"x");
    let fragmented_ping = frame(0x09, b"x");
    let bad_close = frame(0x88, b"x");
    for input in [&unmasked[..], &reserved_bit, &reserved_opcode, &lone_continuation, &fragmented_ping, &bad_close] {
        check(SocketLimits::default(), input, 1002).await;
    }
}

#[actix_rt::test]
async fn a_binary_frame_is_1003() {
    check(SocketLimits::default(), &frame(0x82, b"x"), 1003).await;
}

#[actix_rt::test]
async fn text_that_is_not_utf8_is_1007() {
    check(SocketLimits::default(), &frame(0x81, &[0xff, 0xfe]), 1007).await;
}

#[actix_rt::test]
async fn a_declared_256_mib_is_1009_before_it_comes() {
    let header = [0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    check(SocketLimits::default(), &header, 1009).await;
}

#[actix_rt::test]
async fn fragments_that_add_up_to_too_much_are_1009() {
    let mut input = frame(0x01, &[b'x'; 40_000]);
    input.extend(frame(0x80, &[b'x'; 40_000]));
    check(SocketLimits::default(), &input, 1009).await;
}

#[actix_rt::test]
async fn a_flood_of_empty_fragments_is_4005() {
    let mut input = frame(0x01, b"");
    for _ in 0..5_000 {
        input.extend(frame(0x00, b""));
    }
    check(SocketLimits::default(), &input, 4005).await;
}

#[actix_rt::test]
async fn a_flood_of_bytes_is_4005() {
    let limits = SocketLimits { message_bytes_max: 1024, bytes_burst: 4096, bytes_per_second: 4096, ..SocketLimits::default() };
    let mut input = Vec::new();
    for _ in 0..20 {
        input.extend(frame(0x8a, &[0; 100]));
        input.extend(frame(0x0a | 0x80, &[0; 125]));
    }
    check(limits, &input, 4005).await;
}

#[actix_rt::test]
async fn a_socket_that_is_not_confirmed_in_time_is_4000() {
    let mut running = start(SocketLimits { open_within_ms: 300, ..SocketLimits::default() });
    let (mut kept, _) = running.connect().await;
    say(&mut kept, "confirm").await;
    let (mut idle, id) = running.connect().await;
    let since = Instant::now();
    assert_eq!(close_code(&mut idle).await, 4000);
    assert!(since.elapsed() > Duration::from_millis(200));
    let closed = Event::Closed(id, Closed::Here { code: 4000 });
    assert_eq!(running.event().await, closed);
    say(&mut kept, "still here").await;
    assert_eq!(hear(&mut kept).await, "still here");
    drop((kept, idle));
    running.stop().await;
}

#[actix_rt::test]
async fn the_session_closes_behind_what_it_sent() {
    let mut running = start(SocketLimits::default());
    let (mut client, id) = running.connect().await;
    say(&mut client, "close 4001").await;
    assert_eq!(hear(&mut client).await, "bye");
    assert_eq!(close_code(&mut client).await, 4001);
    assert!(within(client.next()).await.is_none());
    let closed = Event::Closed(id, Closed::Here { code: 4001 });
    assert_eq!(running.event().await, closed);
    running.stop().await;
}

#[actix_rt::test]
async fn the_peers_close_is_answered_in_kind() {
    let mut running = start(SocketLimits::default());
    let (mut client, id) = running.connect().await;
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    client.send(Message::Close(Some(goodbye))).await.unwrap();
    assert_eq!(close_code(&mut client).await, 1000);
    assert!(within(client.next()).await.is_none());
    let closed = Event::Closed(id, Closed::ByPeer { code: Some(1000) });
    assert_eq!(running.event().await, closed);
    running.stop().await;
}

#[actix_rt::test]
async fn a_connection_that_just_ends_is_lost() {
    let mut running = start(SocketLimits::default());
    let (client, id) = running.connect().await;
    drop(client);
    assert_eq!(running.event().await, Event::Closed(id, Closed::Lost));
    running.stop().await;
}

#[actix_rt::test]
async fn a_silent_peer_is_cut_off_and_one_that_answers_pings_is_not() {
    let mut running = start(SocketLimits { heartbeat_ms: 400, silent_ms: 800, ..SocketLimits::default() });
    let (mut lively, _) = running.connect().await;
    let mut silent = connect_raw(running.addr()).await;
    let Event::Opened(id) = running.event().await else { panic!("opened comes first") };
    let since = Instant::now();
    // Reading is what makes this client answer pings.
    let cut = loop {
        tokio::select! {
            cut = running.event() => break cut,
            Some(Ok(Message::Ping(_))) = lively.next() => {}
        }
    };
    assert_eq!(cut, Event::Closed(id, Closed::Silent));
    assert!(since.elapsed() > Duration::from_millis(500), "{:?}", since.elapsed());
    assert_eq!(read_frame(&mut silent).await.0, 0x89, "it was asked before");
    let mut rest = Vec::new();
    // Reset, not ended: the kernel keeps nothing for it.
    assert!(within(silent.read_to_end(&mut rest)).await.is_err());
    say(&mut lively, "alive").await;
    assert_eq!(hear(&mut lively).await, "alive");
    drop(lively);
    running.event().await;
    running.stop().await;
}

#[actix_rt::test]
async fn a_panic_closes_its_own_socket_with_1011_and_no_other() {
    let mut running = start(SocketLimits::default());
    let (mut other, _) = running.connect().await;
    let (mut received, id) = running.connect().await;
    say(&mut received, "panic").await;
    assert_eq!(close_code(&mut received).await, 1011);
    assert_eq!(running.event().await, Event::Closed(id, Closed::Panicked));
    let (mut told, id) = running.connect().await;
    running.server.switchboard().tell(id, Text::from("panic"));
    assert_eq!(close_code(&mut told).await, 1011);
    assert_eq!(running.event().await, Event::Closed(id, Closed::Panicked));
    assert_eq!(running.counts().panics, 2);
    say(&mut other, "undisturbed").await;
    assert_eq!(hear(&mut other).await, "undisturbed");
    drop((other, received, told));
    running.stop().await;
}

#[actix_rt::test]
async fn a_drain_says_1012_to_all() {
    let mut running = start(SocketLimits::default());
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(running.connect().await.0);
    }
    let stats = running.server.stats().clone();
    let drained = actix_rt::spawn(running.server.drain(PATIENCE));
    for client in &mut clients {
        assert_eq!(close_code(client).await, 1012);
        assert!(within(client.next()).await.is_none());
    }
    within(drained).await.unwrap().unwrap();
    assert_eq!((stats.open(), stats.counts().closed_with(1012)), (0, 100));
}

#[actix_rt::test]
async fn a_drain_does_not_wait_for_the_deaf() {
    let mut running = start(SocketLimits { closing_ms: 60_000, ..SocketLimits::default() });
    let deaf = connect_raw(running.addr()).await;
    let Event::Opened(id) = running.event().await else { panic!("opened comes first") };
    let stats = running.server.stats().clone();
    within(running.server.drain(Duration::from_millis(200))).await.unwrap();
    assert_eq!(stats.open(), 0);
    let closed = Event::Closed(id, Closed::Here { code: 1012 });
    assert_eq!(running.events.recv().await, Some(closed));
    drop(deaf);
}
