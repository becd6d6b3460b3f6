//! A loader for `echo`: `load <address> <sockets> <depth> <seconds> [payload bytes]`. Opens the sockets, then
//! keeps `depth` messages of each under way for so many seconds, and prints the rate; with depth 0 it holds
//! the sockets idle, answering pings.
//!
//! Speaks just enough of RFC 6455 by hand: the server is what is measured.

use std::{
    env, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

struct Load {
    address: SocketAddr,
    depth: usize,
    payload_bytes: usize,
    echoes: AtomicU64,
    ended: AtomicU64,
    go: AtomicBool,
}

#[actix::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize, otherwise: usize| arguments.get(at).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let address = arguments.first().map_or("127.0.0.1:9000", String::as_str);
    let sockets = number(1, 1000);
    let load = Arc::new(Load {
        address: address.parse().map_err(io::Error::other)?,
        depth: number(2, 1),
        payload_bytes: number(4, 32).min(125),
        echoes: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        go: AtomicBool::new(false),
    });
    let seconds = number(3, 10) as u64;
    let since = Instant::now();
    for _ in 0..sockets {
        let stream = open(load.address).await?;
        actix::spawn(client(stream, Arc::clone(&load)));
    }
    println!("{sockets} open after {:?}", since.elapsed());
    load.go.store(true, Relaxed);
    sleep(Duration::from_secs(1)).await;
    let (before, since) = (load.echoes.load(Relaxed), Instant::now());
    sleep(Duration::from_secs(seconds)).await;
    let echoes = load.echoes.load(Relaxed) - before;
    let rate = echoes as f64 / since.elapsed().as_secs_f64();
    println!("{rate:.0} echoes/s; {} sockets ended", load.ended.load(Relaxed));
    Ok(())
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = b"GET / HTTP/1.1\r\nHost: load\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request).await?;
    let mut head = [0; 512];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => length += count,
        }
    }
    Ok(stream)
}

async fn client(mut stream: TcpStream, load: Arc<Load>) {
    while load.depth > 0 && !load.go.load(Relaxed) {
        sleep(Duration::from_millis(100)).await;
    }
    if exchange(&mut stream, &load).await.is_err() {
        load.ended.fetch_add(1, Relaxed);
    }
}

/// Sends as many messages as come back, and a pong for each ping.
async fn exchange(stream: &mut TcpStream, load: &Load) -> io::Result<()> {
    let mut message = vec![0x81, 0x80 | load.payload_bytes as u8, 0, 0, 0, 0];
    message.resize(6 + load.payload_bytes, b'x');
    let mut batch = message.repeat(load.depth);
    let mut input = Vec::with_capacity(4096);
    loop {
        stream.write_all(&batch).await?;
        batch.clear();
        while batch.is_empty() {
            if stream.read_buf(&mut input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut at = 0;
            while let [first, length, ..] = input[at..] {
                let length = usize::from(length);
                if input.len() < at + 2 + length {
                    break;
                }
                at += 2 + length;
                match first {
                    0x81 => {
                        load.echoes.fetch_add(1, Relaxed);
                        batch.extend(&message);
                    }
                    0x89 => batch.extend([0x8a, 0x80, 0, 0, 0, 0]),
                    _ => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
            input.drain(..at);
        }
    }
}
