//! What is refused at the door, and how.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;

use common::*;
use jono_socket::SocketLimits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Sends a request; expects the status line's beginning and that the whole answer is readable.
async fn refused(limits: SocketLimits, request: String, expected: &str) {
    let running = start(limits);
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    // What comes behind must not turn the answer into a reset.
    stream.write_all(&frame(0x81, b"too early")).await.unwrap();
    let answer = read_rest(&mut stream).await;
    assert!(answer.starts_with(expected), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    drop(stream);
    running.stop().await;
}

#[actix_rt::test]
async fn bad_upgrades_get_an_http_answer() {
    let limits = SocketLimits::default;
    refused(limits(), request("/elsewhere", ""), "HTTP/1.1 404 ").await;
    let evil = request("/ws", "Origin: http://evil\r\n");
    refused(limits(), evil, "HTTP/1.1 403 ").await;
    let old = request("/ws", "").replace("Version: 13", "Version: 8");
    refused(limits(), old, "HTTP/1.1 426 ").await;
    let half = request("/ws", "").replace("Connection: Upgrade", "Connection: close");
    refused(limits(), half, "HTTP/1.1 426 ").await;
    let key = request("/ws", "").replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    refused(limits(), key, "HTTP/1.1 400 ").await;
    let full = SocketLimits { sockets_max: 0, ..limits() };
    refused(full, request("/ws", ""), "HTTP/1.1 503 ").await;
}

#[actix_rt::test]
async fn a_known_subprotocol_is_agreed_on() {
    let running = start(SocketLimits::default());
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    let offer = request("/ws", "Sec-WebSocket-Protocol: other, jono.v1\r\n");
    stream.write_all(offer.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.contains("sec-websocket-protocol: jono.v1"), "{head}");
    drop(stream);
    running.stop().await;
}

#[actix_rt::test]
async fn an_address_has_so_many_sockets_and_gets_them_back() {
    let mut running = start(SocketLimits { loopback_exempt: false, sockets_per_address_max: 2, ..SocketLimits::default() });
    let (first, _) = running.connect().await;
    let (second, _) = running.connect().await;
    let mut third = TcpStream::connect(running.addr()).await.unwrap();
    third.write_all(request("/ws", "").as_bytes()).await.unwrap();
    let answer = read_rest(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert_eq!(running.counts().refused_address_full, 1);
    drop((first, third));
    running.event().await;
    let stats = running.server.stats().clone();
    within(async {
        while stats.open() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut fourth, _) = running.connect().await;
    say(&mut fourth, "in").await;
    assert_eq!(hear(&mut fourth).await, "in");
    drop((second, fourth));
    running.stop().await;
}

#[actix_rt::test]
async fn an_address_that_connects_too_fast_is_not_answered() {
    let running = start(SocketLimits {
        loopback_exempt: false,
        connections_burst_per_address: 2,
        connections_per_second_per_address: 0,
        ..SocketLimits::default()
    });
    let first = connect(running.addr()).await;
    let second = connect(running.addr()).await;
    let mut third = TcpStream::connect(running.addr()).await.unwrap();
    // It is shut down at once, whether or not this still gets out.
    let _ = third.write_all(request("/ws", "").as_bytes()).await;
    let mut answer = Vec::new();
    let _ = within(third.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    assert_eq!(running.counts().refused_address_rate, 1);
    drop((first, second));
    running.stop().await;
}
