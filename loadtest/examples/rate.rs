//! A first look at speed and memory, until the harness measures them properly.
//!
//! `rate URL PID idle N` opens N signed-in visitors and prints what each costs the server in resident memory.
//! `rate URL PID send N SECONDS TOKEN...` has N visitors served by the agents of these tokens; every visitor sends its
//! next message when the one before is acknowledged. Prints messages a second and the server's CPU a message.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

/// Visitors that connect at a time.
const CONNECTING: usize = 200;

async fn ask(socket: &mut Socket, id: u64, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    socket.send(Message::text(request.to_string())).await.expect("the server takes requests");
    loop {
        let frame = socket.next().await.expect("the server answers").expect("the connection holds");
        if let Message::Text(text) = frame
            && let Ok(answer) = serde_json::from_str::<Value>(&text)
            && answer["id"] == json!(id)
        {
            return answer;
        }
    }
}

async fn open(url: &str, params: Value) -> (Socket, Value) {
    let address = url.trim_start_matches("ws://").split('/').next().unwrap_or(url);
    let stream = TcpStream::connect(address).await.expect("the server is there");
    stream.set_nodelay(true).expect("a fresh connection takes options");
    let (mut socket, _) = client_async(url, stream).await.expect("the server upgrades");
    let opened = ask(&mut socket, 1, "session.open", params).await;
    assert!(opened["error"].is_null(), "{opened}");
    (socket, opened["result"].clone())
}

async fn visitors(url: &str, count: usize) -> Vec<(Socket, Value)> {
    let opening = (0..count).map(|_| open(url, json!({"role": "customer", "site": "demo"})));
    futures_util::stream::iter(opening).buffer_unordered(CONNECTING).collect().await
}

fn resident_kib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux says what is resident");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Clock ticks (100 a second) of user and system time.
fn cpu_ticks(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks")
}

async fn idle(url: &str, pid: &str, count: usize) {
    let before = resident_kib(pid);
    let started = Instant::now();
    let visitors = visitors(url, count).await;
    println!("{count} visitors signed in within {:.1} s", started.elapsed().as_secs_f64());
    // Entities of visitors without a conversation are unloaded after a minute.
    for wait in [2, 70] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let after = resident_kib(pid);
        println!("resident {before} -> {after} KiB: {:.2} KiB a visitor", (after - before) as f64 / count as f64);
    }
    drop(visitors);
}

async fn send(url: &str, pid: &str, count: usize, seconds: u64, tokens: &[String]) {
    let visitors = visitors(url, count).await;
    let queue = visitors[0].1["queues"][0]["id"].clone();
    let starting = visitors.into_iter().map(|(mut socket, _)| {
        let queue = queue.clone();
        async move {
            let started = ask(&mut socket, 2, "conversation.start", json!({"queue": queue, "message": "hello"})).await;
            (socket, started["result"]["conversation"].clone())
        }
    });
    let visitors: Vec<_> = futures_util::stream::iter(starting).buffer_unordered(CONNECTING).collect().await;
    let mut agents = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        let (mut socket, _) = open(url, json!({"role": "agent", "token": token})).await;
        for (pick, _) in visitors.iter().skip(number).step_by(tokens.len()).enumerate() {
            let picked = ask(&mut socket, 2 + pick as u64, "queue.pick", json!({"queue": queue})).await;
            assert!(picked["error"].is_null(), "{picked}");
        }
        agents.push(tokio::spawn(async move {
            let mut events = 0u64;
            while let Some(Ok(frame)) = socket.next().await {
                events += u64::from(matches!(&frame, Message::Text(text) if text.contains("conversation.event")));
            }
            events
        }));
    }
    let (ticks, started) = (cpu_ticks(pid), Instant::now());
    let until = started + Duration::from_secs(seconds);
    let sending = visitors.into_iter().map(|(mut socket, conversation)| {
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < until {
                let sent = Instant::now();
                let params =
                    json!({"conversation": conversation, "text": "It says that the parcel is at the depot since Monday."});
                let answer = ask(&mut socket, 10 + waits.len() as u64, "message.send", params).await;
                assert!(answer["error"].is_null(), "{answer}");
                waits.push(sent.elapsed().as_micros() as u64);
            }
            waits
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut waits: Vec<u64> = Vec::new();
    for sender in sending {
        waits.extend(sender.await.expect("a sender ends"));
    }
    let took = started.elapsed().as_secs_f64();
    let cpu_us = (cpu_ticks(pid) - ticks) as f64 * 10_000.0 / waits.len() as f64;
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{count} senders: {:.0} messages/s, {cpu_us:.1} us of server CPU a message, acknowledged p50 {:.2} p99 {:.2} max {:.2} ms",
        waits.len() as f64 / took,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    for agent in agents {
        agent.abort();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match words.as_slice() {
        [url, pid, "idle", count] => idle(url, pid, number(count) as usize).await,
        [url, pid, "send", count, seconds, _, ..] => {
            send(url, pid, number(count) as usize, number(seconds), &arguments[5..]).await
        }
        _ => eprintln!("usage: rate URL PID idle N | rate URL PID send N SECONDS TOKEN..."),
    }
}
