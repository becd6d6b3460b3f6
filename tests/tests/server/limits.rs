//! What one peer may take, and that the others do not feel it (G12, G14).

use std::time::{Duration, Instant};

use jono_tests::client::Client;
use jono_tests::http;
use jono_tests::raw::{CLOSE, PING, RawSocket, TEXT, frame};
use jono_tests::view::assert_same;
use jono_tests::world::World;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn who_does_not_open_a_session_in_time_is_closed() {
    let world = World::with(&[("JONO_SOCKETS_OPEN_WITHIN_MS", "1000")]).await;
    let begun = Instant::now();
    let mut stranger = world.stranger().await;
    let mut vera = world.customer("Vera").await;
    // Being busy is not being open.
    stranger.ok("ping", json!({})).await;
    stranger.refused("session.open", json!({ "role": "nobody" })).await;
    assert_eq!(stranger.end().await.0, 4000);
    assert!(begun.elapsed() >= Duration::from_millis(1_000) && begun.elapsed() < Duration::from_secs(4));
    vera.ok("ping", json!({})).await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let world = World::with(&[("JONO_SOCKETS_HANDSHAKE_MS", "500")]).await;
    let begun = Instant::now();
    let mut stream = TcpStream::connect(world.server.address()).await.expect("the server listens");
    stream.write_all(b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("written");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_silent_peer_is_cut_off_and_one_that_answers_pings_is_not() {
    let world = World::with(&[("JONO_SOCKETS_HEARTBEAT_MS", "500"), ("JONO_SOCKETS_SILENT_MS", "1000")]).await;
    let mut vera = world.customer("Vera").await;
    let mut silent = RawSocket::open(world.server.address()).await;
    let begun = Instant::now();
    let ended = async {
        while let Some((opcode, _)) = silent.next().await {
            assert!([PING, CLOSE].contains(&opcode));
        }
        begun.elapsed()
    };
    let (after, ()) = tokio::join!(ended, vera.listen(Duration::from_millis(2_500)));
    // Half the distance between ping and end may be missing: the server looks now and then.
    assert!((Duration::from_millis(750)..Duration::from_millis(2_400)).contains(&after), "after {after:?}");
    assert!(vera.is_connected());
    vera.ok("ping", json!({})).await;
}

#[tokio::test]
async fn floods_of_frames_are_closed_with_4005() {
    let world = World::start().await;
    let mut vera = world.customer("Vera").await;
    let floods = [
        ("pings", frame(PING, b"").repeat(3_000)),
        ("empty fragments", {
            let mut first = frame(TEXT, b"");
            first[0] &= 0x7f;
            let mut more = frame(0, b"");
            more[0] &= 0x7f;
            [first, more.repeat(3_000)].concat()
        }),
        ("nonsense", frame(TEXT, b"x").repeat(3_000)),
        ("bytes", frame(TEXT, &[b' '; 60_000]).repeat(40)),
    ];
    for (what, bytes) in floods {
        let mut socket = RawSocket::open(world.server.address()).await;
        let (mut left, before) = (bytes.as_slice(), Instant::now());
        while !left.is_empty() && before.elapsed() < Duration::from_secs(2) {
            let (now, later) = left.split_at(left.len().min(64 * 1024));
            if !matches!(socket.push(now).await, Ok(true)) {
                break;
            }
            left = later;
        }
        assert_eq!(socket.close_code().await, Some(4005), "{what}");
        vera.ok("ping", json!({})).await;
    }
}

#[tokio::test]
async fn requests_over_the_rate_are_refused_and_say_until_when() {
    let world = World::with(&[
        ("JONO_SESSIONS_CUSTOMER_WRITES_PER_MINUTE", "60"),
        ("JONO_SESSIONS_CUSTOMER_WRITES_BURST", "5"),
        ("JONO_SESSIONS_CUSTOMER_STARTS_BURST", "1"),
    ])
    .await;
    let (mut vera, mut ville) = (world.customer("Vera").await, world.customer("Ville").await);
    let conversation = world.start_conversation(&mut vera, "Hello?").await;
    vera.refused_as("rate_limited", "conversation.start", json!({ "queue": world.acme.support })).await;
    let said = |number: u32| json!({ "conversation": conversation, "text": number.to_string() });
    for number in 0..5 {
        vera.ok("message.send", said(number)).await;
    }
    let refused = vera.refused_as("rate_limited", "message.send", said(5)).await;
    let wait = refused.data("retry_after_ms").as_u64().expect("a time");
    assert!((1..=1_000).contains(&wait), "{wait}");
    world.start_conversation(&mut ville, "Others are not concerned").await;
    tokio::time::sleep(Duration::from_millis(wait)).await;
    vera.ok("message.send", said(6)).await;
    vera.catch_up(&conversation).await;
    assert_eq!(vera.view(&conversation).texts(), ["Hello?", "0", "1", "2", "3", "4", "6"]);
}

#[tokio::test]
async fn one_session_has_only_so_many_requests_under_way() {
    let world = World::with(&[("JONO_SESSIONS_REQUESTS", "2")]).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let conversation = world.start_conversation(&mut vera, "Hello?").await;
    let requests: Vec<_> = (0..20)
        .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "note.add", "params": { "conversation": conversation, "text": "x" } }))
        .collect();
    anna.say(&json!(requests).to_string()).await;
    let mut answers = Vec::new();
    for id in 0..20 {
        answers.push(anna.answer(id).await);
    }
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((2..20).contains(&granted), "{granted}");
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.reason(), "busy");
        assert!(refused.data("retry_after_ms").is_u64());
    }
    let head = anna.ok("conversation.get", json!({ "conversation": conversation })).await["head"].clone();
    assert_eq!(head, 3 + granted, "what was refused was not done");
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_makes_room() {
    let world = World::with(&[("JONO_SESSIONS_SESSIONS_PER_CUSTOMER", "2"), ("JONO_SESSIONS_SESSIONS_PER_AGENT", "1")]).await;
    let mut vera = world.customer("Vera").await;
    let mut credential = world.as_customer("Vera");
    credential.params["resume"] = vera.opened["resume"].clone();
    let mut second = world.open(credential.clone()).await;
    let mut third = world.open(credential).await;
    assert_eq!(vera.end().await.0, 4002);
    for client in [&mut second, &mut third] {
        client.ok("ping", json!({})).await;
    }
    let mut anna = world.agent(&world.acme.anna).await;
    let mut again = world.agent(&world.acme.anna).await;
    assert_eq!(anna.end().await.0, 4002);
    again.ok("ping", json!({})).await;
}

#[tokio::test]
async fn an_address_has_only_so_many_sockets() {
    let world = World::with(&[("JONO_SOCKETS_LOOPBACK_EXEMPT", "false"), ("JONO_SOCKETS_SOCKETS_PER_ADDRESS_MAX", "3")]).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(RawSocket::open(world.server.address()).await);
    }
    assert_eq!(RawSocket::upgrade(world.server.address(), "/v1/ws", &[]).await.0, 429);
    let (status, _) = (http::request(world.server.address(), "GET", "/healthz", None, None).await.status, sockets.pop());
    assert_eq!(status, 200);
    let begun = Instant::now();
    while RawSocket::upgrade(world.server.address(), "/v1/ws", &[]).await.0 != 101 {
        assert!(begun.elapsed() < Duration::from_secs(5), "a place becomes free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_full_server_says_so() {
    let world = World::with(&[("JONO_SOCKETS_SOCKETS_MAX", "2")]).await;
    let _sockets = [RawSocket::open(world.server.address()).await, RawSocket::open(world.server.address()).await];
    assert_eq!(RawSocket::upgrade(world.server.address(), "/v1/ws", &[]).await.0, 503);
}

#[tokio::test]
async fn connections_of_one_address_come_at_a_rate() {
    let world = World::with(&[
        ("JONO_SOCKETS_LOOPBACK_EXEMPT", "false"),
        ("JONO_SOCKETS_CONNECTIONS_PER_SECOND_PER_ADDRESS", "1"),
        ("JONO_SOCKETS_CONNECTIONS_BURST_PER_ADDRESS", "40"),
    ])
    .await;
    let mut refused = 0;
    for _ in 0..60 {
        let answer = http::try_request(world.server.address(), "GET", "/healthz", &[], None).await;
        refused += usize::from(answer.is_err());
    }
    assert!((15..60).contains(&refused), "{refused}");
}

/// Customers who write long and often.
const TALKATIVE: [(&str, &str); 3] = [
    ("JONO_SESSIONS_CUSTOMER_WRITES_BURST", "1000"),
    ("JONO_SOCKETS_BYTES_PER_SECOND", "100000000"),
    ("JONO_SOCKETS_BYTES_BURST", "100000000"),
];

/// Agents who look at a conversation and do not read what they are told.
#[tokio::test]
async fn peers_that_stop_reading_are_cut_off_and_cost_little() {
    const DEAF: usize = 12;
    const MESSAGES: usize = 150;
    let impatient = [("JONO_SOCKETS_HEARTBEAT_MS", "3000"), ("JONO_SOCKETS_SILENT_MS", "5000")];
    let world = World::with(&[&TALKATIVE[..], &impatient].concat()).await;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let mut socket = RawSocket::open(world.server.address()).await;
        let requests = [
            json!({ "jsonrpc": "2.0", "id": 1, "method": "session.open", "params": { "role": "agent", "token": world.acme.ben.token } }),
            json!({ "jsonrpc": "2.0", "id": 2, "method": "conversation.follow", "params": { "conversation": conversation } }),
        ];
        for request in &requests {
            socket.send(&frame(TEXT, request.to_string().as_bytes())).await.expect("the socket is open");
            while !socket.text().await.contains(&format!("\"id\":{}", request["id"])) {}
        }
        deaf.push(socket);
    }
    let before = world.server.resident_bytes();
    let text = "x".repeat(16 * 1024);
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..MESSAGES {
        let asked = Instant::now();
        vera.ok("message.send", json!({ "conversation": conversation, "text": text })).await;
        slowest = slowest.max(asked.elapsed());
        anna.listen(Duration::from_millis(1)).await;
    }
    anna.catch_up(&conversation).await;
    assert_eq!(anna.view(&conversation).texts().len(), 1 + MESSAGES);
    assert!(slowest < Duration::from_secs(2), "the others do not feel it: {slowest:?}");
    let grown = world.server.resident_bytes().saturating_sub(before);
    // 256 KiB for each, and as much again for the store's own buffers of what was written; unbounded it were 29 MiB more.
    let allowed = (DEAF * 256 * 1024 + 3 * MESSAGES * text.len()) as u64;
    assert!(grown < allowed, "{grown} bytes more, for {DEAF} peers; allowed {allowed}");
    // They do not answer pings either.
    for mut socket in deaf {
        let ended = async { while socket.next().await.is_some() {} };
        assert!(tokio::time::timeout(Duration::from_secs(10), ended).await.is_ok(), "cut off after {:?}", begun.elapsed());
    }
    vera.ok("ping", json!({})).await;
}

/// A conversation in which the customer wrote far more than sockets' buffers hold, while Anna did not read. The clients,
/// and the last event as Anna was told it in the end.
async fn read_slowly(world: &World) -> (Client, Client, String, Value) {
    const MESSAGES: u64 = 150;
    let (mut vera, mut anna) = (world.customer("Vera").await, world.agent(&world.acme.anna).await);
    let (conversation, _) = world.conversation(&mut vera, &mut anna).await;
    anna.catch_up(&conversation).await;
    let text = "x".repeat(16 * 1024 - 8);
    for number in 0..MESSAGES {
        vera.ok("message.send", json!({ "conversation": conversation, "text": format!("{number} {text}") })).await;
        vera.forget();
    }
    let last = anna.told_where("conversation.event", |event| event["seq"] == MESSAGES + 4).await;
    (vera, anna, conversation, last)
}

#[tokio::test]
async fn who_reads_slowly_misses_nothing() {
    let world = World::with(&TALKATIVE).await;
    let (vera, anna, conversation, _) = read_slowly(&world).await;
    assert_same(vera.view(&conversation), anna.view(&conversation));
}

#[tokio::test]
async fn who_has_caught_up_knows_the_deadlines() {
    let world = World::with(&TALKATIVE).await;
    let (_vera, mut anna, conversation, last) = read_slowly(&world).await;
    anna.listen(Duration::from_millis(300)).await;
    let shown = anna.ok("conversation.get", json!({ "conversation": conversation })).await;
    let told = anna.unread("conversation.deadline").last().map_or(&last, |told| *told);
    assert_eq!((&told["release_at"], &told["close_at"]), (&shown["release_at"], &shown["close_at"]));
}
