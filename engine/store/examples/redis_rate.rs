//! What a commit costs on Redis, by durability level, commits under way and writes of a batch; and what it costs to wait for
//! messages at one box, or at many. Starts a Redis of its own.
//!
//! ```text
//! cargo run --release -p jono-store --example redis_rate
//! ```

mod chat;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jono_store::{Batch, Durability, Exchange, NodeId, Position, RedisExchange, RedisOptions, RedisStore, ShardId, Store};
use jono_test_redis::RedisServer;

use chat::{RECORD_BYTES, message};

/// How long one row is measured.
const ROW: Duration = Duration::from_secs(2);

const SHARDS: u16 = 64;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    println!(
        "level   under way  writes/batch  records/s  commits/s   p50 us   p99 us  commands/commit  Redis CPU us/commit  us/record"
    );
    for durability in [Durability::Memory, Durability::Second, Durability::Disk] {
        for (under_way, writes) in [(1, 1), (16, 1), (64, 1), (16, 8), (64, 8), (16, 64)] {
            let server = server(durability);
            let options = RedisOptions::new(server.url()).with_durability(durability);
            let (store, _exchange) = RedisStore::connect(options).await?;
            commits(&server, &store, under_way, writes).await?;
        }
    }
    println!("\nboxes  sent/s wanted  arrived/s   p50 us   p99 us  Redis CPU us/message");
    for boxes in [1, 85, 256] {
        for pace in [1_000, 10_000, 1_000_000] {
            let server = server(Durability::Memory);
            let options = RedisOptions::new(server.url()).with_durability(Durability::Memory);
            let (_store, exchange) = RedisStore::connect(options).await?;
            messages(&server, &exchange, boxes, pace).await?;
        }
    }
    Ok(())
}

fn server(durability: Durability) -> RedisServer {
    RedisServer::start(match durability {
        Durability::Memory => &[],
        Durability::Second => &["appendonly yes", "appendfsync everysec"],
        Durability::Disk | Durability::Replica => &["appendonly yes", "appendfsync always"],
    })
}

/// Microseconds that the server has computed.
fn cpu_us(server: &RedisServer) -> f64 {
    ["used_cpu_user", "used_cpu_sys"].map(|name| server.info(name).parse::<f64>().unwrap_or(0.0) * 1e6).iter().sum()
}

async fn commits(server: &RedisServer, store: &RedisStore, under_way: usize, writes: usize) -> Result<(), Failure> {
    let mut epochs = Vec::new();
    for shard in 0..SHARDS {
        epochs.push(store.acquire(ShardId(shard)).await?);
    }
    // One entity per place, so that each has one write under way.
    let mut seqs = vec![0_u64; under_way * writes];
    let mut next = 0;
    let mut waiting = VecDeque::new();
    let mut latencies_us = Vec::new();
    let (cpu_before, commands_before) = (cpu_us(server), store.stats().commands);
    let start = Instant::now();
    while start.elapsed() < ROW || !waiting.is_empty() {
        if start.elapsed() < ROW && waiting.len() < under_way {
            let shard = next % usize::from(SHARDS);
            let of = |place: usize| {
                seqs[place] += 1;
                message(place, seqs[place])
            };
            let places = next * writes..(next + 1) * writes;
            let batch = Batch { shard: ShardId(u16::try_from(shard)?), epoch: epochs[shard], writes: places.map(of).collect() };
            waiting.push_back((Instant::now(), store.commit(batch)));
            next = (next + 1) % under_way;
        } else if let Some((since, commit)) = waiting.pop_front() {
            commit.await?;
            latencies_us.push(since.elapsed().as_micros());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let commits = latencies_us.len();
    let (cpu, commands) = (cpu_us(server) - cpu_before, store.stats().commands - commands_before);
    latencies_us.sort_unstable();
    println!(
        "{:<8}{under_way:>9}{writes:>14}{:>11.0}{:>11.0}{:>9}{:>9}{:>17.2}{:>21.1}{:>11.2}",
        format!("{:?}", store.durability()).to_lowercase(),
        (commits * writes) as f64 / seconds,
        commits as f64 / seconds,
        latencies_us[commits / 2],
        latencies_us[commits * 99 / 100],
        commands as f64 / commits as f64,
        cpu / commits as f64,
        cpu / (commits * writes) as f64,
    );
    Ok(())
}

/// Messages to boxes in turn; each box is read over a connection of its own that waits.
async fn messages(server: &RedisServer, exchange: &RedisExchange, boxes: usize, pace: usize) -> Result<(), Failure> {
    const UNDER_WAY: usize = 64;
    let mut nodes = Vec::new();
    for _ in 0..boxes {
        nodes.push(exchange.join(Bytes::new()).await?);
    }
    let start = Instant::now();
    let readers: Vec<_> = nodes.iter().map(|node| tokio::spawn(read(exchange.clone(), *node, start))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (cpu_before, began) = (cpu_us(server), Instant::now());
    let mut sent = 0;
    let mut under_way = FuturesUnordered::new();
    while began.elapsed() < ROW {
        let due = (began.elapsed().as_secs_f64() * pace as f64) as usize;
        if sent < due && under_way.len() < UNDER_WAY {
            let stamp = start.elapsed().as_nanos() as u64;
            let mut parcel = stamp.to_le_bytes().to_vec();
            parcel.resize(RECORD_BYTES, b'x');
            under_way.push(exchange.send(nodes[sent % boxes], vec![parcel.into()]));
            sent += 1;
        } else if under_way.is_empty() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        } else if let Some(outcome) = under_way.next().await {
            outcome?;
        }
    }
    while let Some(outcome) = under_way.next().await {
        outcome?;
    }
    // An empty parcel ends a reader.
    for node in &nodes {
        exchange.send(*node, vec![Bytes::new()]).await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut latencies_us = Vec::new();
    for reader in readers {
        latencies_us.extend(reader.await??);
    }
    let cpu = cpu_us(server) - cpu_before;
    latencies_us.sort_unstable();
    let arrived = latencies_us.len();
    println!(
        "{boxes:>5}{pace:>15}{:>11.0}{:>9}{:>9}{:>22.1}",
        arrived as f64 / seconds,
        latencies_us[arrived / 2],
        latencies_us[arrived * 99 / 100],
        cpu / arrived as f64,
    );
    Ok(())
}

async fn read(exchange: RedisExchange, node: NodeId, start: Instant) -> Result<Vec<u128>, jono_store::ExchangeError> {
    let mut latencies_us = Vec::new();
    let mut after = Position::START;
    loop {
        for (position, parcel) in exchange.receive(node, after, Duration::from_secs(10)).await? {
            after = position;
            let Some(stamp) = parcel.first_chunk() else {
                return Ok(latencies_us);
            };
            let sent = Duration::from_nanos(u64::from_le_bytes(*stamp));
            latencies_us.push((start.elapsed().saturating_sub(sent)).as_micros());
        }
    }
}
