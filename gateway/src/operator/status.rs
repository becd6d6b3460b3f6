//! `jono cluster status`: the processes on one Redis, and who owns which shards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use jono_engine::cluster::{Card, limits::BEAT_EVERY_MS};
use jono_store::{Epoch, NodeId, Picture, RedisExchange, ShardId, Store as _};
use serde::Serialize;

use super::connect;
use crate::config::Config;
use crate::server::Failure;

/// How long a process may need to beat once more.
const BEAT_PATIENCE: Duration = Duration::from_millis(3 * BEAT_EVERY_MS);

#[derive(Debug, PartialEq, Serialize)]
struct Status {
    nodes: Vec<Node>,
    shards: usize,
    /// Shards that no process owns that is there.
    without_owner: Vec<u16>,
    /// Of every shard that has one.
    owners: Vec<Ownership>,
    epoch_max: u64,
    log: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Ownership {
    shard: u16,
    node: u32,
    epoch: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Node {
    node: u32,
    role: &'static str,
    state: &'static str,
    shards: usize,
    entities: u64,
    requests_under_way: u64,
    letters_waiting: u64,
    sending_bytes: u64,
    commits_fenced: u64,
    up_s: u64,
    version: String,
    name: String,
}

/// A table, or with `as_json` an object.
///
/// # Errors
/// [`Failure`], when there is no Redis, or it cannot be reached.
pub async fn status(config: &Config, as_json: bool) -> Result<String, Failure> {
    let (store, exchange) = connect(config).await?;
    let shards = jono_engine::shard_count_of(&store).await.map_err(|error| Failure::Running(error.to_string()))?;
    let before = look(&exchange).await?;
    tokio::time::sleep(BEAT_PATIENCE).await;
    let status = judge(&before, &look(&exchange).await?, shards);
    store.close().await;
    Ok(if as_json { format!("{:#}\n", serde_json::to_value(&status).unwrap_or_default()) } else { table(&status) })
}

async fn look(exchange: &RedisExchange) -> Result<Picture, Failure> {
    exchange.glance().await.map_err(|error| Failure::Running(error.to_string()))
}

fn judge(before: &Picture, after: &Picture, shards: u16) -> Status {
    let beats: BTreeMap<NodeId, u64> = before.members.iter().map(|member| (member.node, member.beat)).collect();
    let owners = after.owners.as_deref().unwrap_or_default();
    let present: BTreeSet<NodeId> = after.members.iter().map(|member| member.node).collect();
    let owned = owners
        .iter()
        .filter_map(|(shard, owner)| Some((*shard, (owner.node.filter(|node| present.contains(node))?, owner.epoch))));
    let owned: BTreeMap<ShardId, (NodeId, Epoch)> = owned.collect();
    let node = |member: &jono_store::Member| {
        let card = Card::decode(&member.card);
        Node {
            node: member.node.0,
            role: match (card.serves_shards, card.serves_clients) {
                (true, true) => "all",
                (true, false) => "engine",
                (false, true) => "gateway",
                (false, false) => "none",
            },
            state: match beats.get(&member.node) {
                Some(beat) if *beat == member.beat => "silent",
                _ if card.is_leaving => "leaving",
                _ => "up",
            },
            shards: owned.values().filter(|(node, _)| *node == member.node).count(),
            entities: card.about.entities,
            requests_under_way: card.about.asked,
            letters_waiting: card.about.letters_waiting,
            sending_bytes: card.about.sending_bytes,
            commits_fenced: card.about.commits_fenced,
            up_s: card.about.up_s,
            version: card.about.version,
            name: card.about.name,
        }
    };
    Status {
        nodes: after.members.iter().map(node).collect(),
        shards: usize::from(shards),
        without_owner: (0..shards).filter(|shard| !owned.contains_key(&ShardId(*shard))).collect(),
        owners: owned.iter().map(|(shard, (node, epoch))| Ownership { shard: shard.0, node: node.0, epoch: epoch.0 }).collect(),
        epoch_max: owners.iter().map(|(_, owner)| owner.epoch.0).max().unwrap_or(0),
        log: format!("log_{:016x}", after.log_identity),
    }
}

fn table(status: &Status) -> String {
    let mut text = String::new();
    if status.nodes.is_empty() {
        return "no process runs on this Redis: start one with `jono serve --redis URL`\n".to_owned();
    }
    let head =
        ["node", "role", "state", "shards", "entities", "requests", "letters", "sending", "fenced", "up", "version", "where"];
    let rows = status.nodes.iter().map(|node| {
        [
            node.node.to_string(),
            node.role.to_owned(),
            node.state.to_owned(),
            node.shards.to_string(),
            node.entities.to_string(),
            node.requests_under_way.to_string(),
            node.letters_waiting.to_string(),
            format!("{} B", node.sending_bytes),
            node.commits_fenced.to_string(),
            lasted(node.up_s),
            node.version.clone(),
            node.name.clone(),
        ]
    });
    let rows: Vec<[String; 12]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> =
        (0..head.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let _ = match status.without_owner.len() {
        0 => writeln!(text, "\nall {} shards have an owner; highest epoch {}; {}", status.shards, status.epoch_max, status.log),
        missing => writeln!(
            text,
            "\n{missing} of {} shards have NO OWNER: if this stays, start a process with role `engine` or `all`; highest epoch {}; {}",
            status.shards, status.epoch_max, status.log
        ),
    };
    text
}

fn lasted(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use jono_store::{Member, Owner};

    use super::*;

    fn picture(beats: &[(u32, u64)]) -> Picture {
        let members = beats.iter().map(|(node, beat)| Member { node: NodeId(*node), beat: *beat, card: vec![1].into() });
        let owner = |shard, node, epoch| (ShardId(shard), Owner { node, epoch: Epoch(epoch) });
        let owners =
            vec![owner(0, Some(NodeId(1)), 3), owner(1, Some(NodeId(2)), 9), owner(2, None, 1), owner(3, Some(NodeId(7)), 2)];
        Picture { members: members.collect(), owners_version: 1, owners: Some(owners), log_identity: 10 }
    }

    #[test]
    fn silence_and_missing_owners_are_seen() {
        let status = judge(&picture(&[(1, 5), (2, 8)]), &picture(&[(1, 6), (2, 8)]), 4);
        let states: Vec<_> = status.nodes.iter().map(|node| (node.node, node.role, node.state, node.shards)).collect();
        assert_eq!(states, [(1, "engine", "up", 1), (2, "engine", "silent", 1)]);
        assert_eq!((status.without_owner.clone(), status.epoch_max), (vec![2, 3], 9));
        let owners: Vec<_> = status.owners.iter().map(|owner| (owner.shard, owner.node, owner.epoch)).collect();
        assert_eq!(owners, [(0, 1, 3), (1, 2, 9)]);
        let table = table(&status);
        assert!(table.contains("2 of 4 shards have NO OWNER"), "{table}");
        assert!(table.lines().all(|line| line.len() == line.trim_end().len()), "{table}");
    }

    #[test]
    fn an_empty_system_says_what_to_do() {
        let status = judge(&picture(&[]), &picture(&[]), 4);
        assert!(table(&status).contains("jono serve --redis"));
    }
}
