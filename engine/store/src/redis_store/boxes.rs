//! Boxes: one stream for each member, with a hash tag of its own, so that boxes spread over a cluster.
//!
//! ```text
//! <prefix>:{n<node>}:box    stream; expires unless its member beats
//! <prefix>:{n<node>}:gone   hash: bytes and parcels that have gone in, and out
//! ```
//!
//! What is sent in one call is one entry, in the frame of [`crate::record`]: of each parcel its length (u32, little endian) and its
//! bytes. An entry's id is the bytes and the parcels that had gone in by its end, so a position within the entry is the same bytes and
//! the number of the parcel, and the stream's own order is the order of positions. One that does not read is left out: parcels may
//! get lost, senders number theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};

use super::address::Address;
use super::call::{Call, Kind};
use super::core::Core;
use super::exchange::exchange_error;
use super::failure::{self, Outcome, judge};
use super::value::{self, misshapen};
use super::{limits, link, script};
use crate::limits::{BOX_BYTES_MAX, BOX_PARCELS_MAX};
use crate::record::{self, Space};
use crate::{ExchangeError, NodeId, Position};

/// Bytes that a parcel takes besides its own.
const PARCEL_HEAD_BYTES: usize = 4;

/// What was read is dropped in pieces of this part of a box, so that few calls are spent on it and little room.
const PASS_PART: u64 = 64;

/// Everybody's boxes: sending to them, and reading our own.
pub(super) struct Boxes {
    core: Arc<Core>,
    readers: Mutex<HashMap<NodeId, BoxReader>>,
}

/// What is remembered between two reads of a box.
#[derive(Clone, Default)]
struct BoxReader {
    /// A connection that may be blocked. Taken out while it is used, so one that was given up is not used again.
    wire: Option<(Address, MultiplexedConnection)>,
    /// The last position that was given out.
    given: Position,
    /// What is dropped up to here.
    passed: Position,
}

impl Boxes {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, readers: Mutex::default() }
    }

    /// Keys of a box, and their slot.
    fn keys(&self, node: NodeId) -> ([Vec<u8>; 2], usize) {
        let (parcels, slot) = self.core.keys.of_box(node.0, "box");
        let (gone, _) = self.core.keys.of_box(node.0, "gone");
        ([parcels, gone], slot)
    }

    async fn call(&self, node: NodeId, slot: usize, call: &Call) -> Result<Value, ExchangeError> {
        // What is sent to one box goes over one connection.
        self.core.servers.call(slot, node.0 as usize, call).await.map_err(exchange_error)
    }

    pub(super) async fn make(&self, node: NodeId) -> Result<(), ExchangeError> {
        self.touch(node, true).await
    }

    /// Lets a box last; without a box: [`ExchangeError::Gone`].
    pub(super) async fn renew(&self, node: NodeId) -> Result<(), ExchangeError> {
        self.touch(node, false).await
    }

    async fn touch(&self, node: NodeId, makes: bool) -> Result<(), ExchangeError> {
        let (keys, slot) = self.keys(node);
        let mut command = script::RENEW.on(&keys);
        command.arg(limits::BOX_LIFE.as_millis() as u64).arg(u8::from(makes));
        match value::number(self.call(node, slot, &Call::write(&script::RENEW, command)).await?) {
            Some(1) => Ok(()),
            _ => Err(ExchangeError::Gone),
        }
    }

    pub(super) async fn remove(&self, node: NodeId) -> Result<(), ExchangeError> {
        let (keys, slot) = self.keys(node);
        let mut command = redis::cmd("UNLINK");
        command.arg(&keys);
        self.call(node, slot, &Call { command, script: None, kind: Kind::Write }).await.map(drop)
    }

    pub(super) async fn send(&self, to: NodeId, parcels: &[Bytes]) -> Result<(), ExchangeError> {
        let bytes: usize = parcels.iter().map(|parcel| PARCEL_HEAD_BYTES + parcel.len()).sum();
        if parcels.len() > BOX_PARCELS_MAX || bytes > BOX_BYTES_MAX {
            return Err(ExchangeError::Full);
        }
        let (keys, slot) = self.keys(to);
        if parcels.is_empty() {
            return Ok(());
        }
        let mut command = script::SEND.on(&keys);
        command.arg(seal(to, parcels, bytes)).arg(parcels.len()).arg(bytes).arg(BOX_PARCELS_MAX).arg(BOX_BYTES_MAX);
        let answer = self.call(to, slot, &Call::write(&script::SEND, command)).await?;
        match value::bytes(answer).as_deref() {
            Some(b"done") => Ok(()),
            Some(b"full") => Err(ExchangeError::Full),
            Some(b"gone") => Err(ExchangeError::Gone),
            _ => Err(ExchangeError::Unknown(misshapen("a sending"))),
        }
    }

    pub(super) async fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> Result<Vec<(Position, Bytes)>, ExchangeError> {
        self.pass(node, after).await?;
        let start = tokio::time::Instant::now();
        for _ in 0..limits::REDIRECTS_MAX {
            let patience = patience.saturating_sub(start.elapsed());
            let Some(answer) = self.read(node, after, patience).await? else {
                // The slot has moved: again, where it is now.
                tokio::time::sleep(limits::REDIRECT_PAUSE).await;
                continue;
            };
            if matches!(answer, Value::Nil) {
                return self.nothing(node).await;
            }
            let parcels = open(node, after, answer).ok_or_else(|| ExchangeError::Unavailable(misshapen("a box")))?;
            if let Some((last, _)) = parcels.last() {
                self.readers().entry(node).or_default().given = *last;
            }
            return Ok(parcels);
        }
        Err(ExchangeError::Unavailable("the box keeps moving".into()))
    }

    /// Drops what was read, now and then. Only what we gave out: any other position is a mistake, or a dream.
    async fn pass(&self, node: NodeId, after: Position) -> Result<(), ExchangeError> {
        let reader = self.readers().entry(node).or_default().clone();
        let [bytes, parcels] = [after.0.saturating_sub(reader.passed.0), after.1.saturating_sub(reader.passed.1)];
        let is_worth_it = bytes >= BOX_BYTES_MAX as u64 / PASS_PART || parcels >= BOX_PARCELS_MAX as u64 / PASS_PART;
        if !is_worth_it || after > reader.given {
            return Ok(());
        }
        let (keys, slot) = self.keys(node);
        let mut command = script::PASS.on(&keys);
        command.arg(after.0).arg(after.1).arg(after.1 + 1);
        self.call(node, slot, &Call::write(&script::PASS, command)).await?;
        self.readers().entry(node).or_default().passed = after;
        Ok(())
    }

    /// Nothing is there: is the box?
    async fn nothing(&self, node: NodeId) -> Result<Vec<(Position, Bytes)>, ExchangeError> {
        let (keys, slot) = self.keys(node);
        let mut command = redis::cmd("EXISTS");
        command.arg(&keys[0]);
        let exists = self.call(node, slot, &Call { command, script: None, kind: Kind::Read }).await?;
        if value::number(exists) == Some(1) {
            return Ok(Vec::new());
        }
        self.readers().remove(&node);
        Err(ExchangeError::Gone)
    }

    /// One read, blocked for as long as there is patience. `None`: it must be done elsewhere.
    async fn read(&self, node: NodeId, after: Position, patience: Duration) -> Result<Option<Value>, ExchangeError> {
        let unavailable = ExchangeError::Unavailable;
        let ([key, _], slot) = self.keys(node);
        let server = self.core.servers.server_of(slot).ok_or_else(|| unavailable(format!("no server has slot {slot}")))?;
        let address = server.address();
        let supplies = self.core.servers.supplies();
        let kept = self.readers().entry(node).or_default().wire.take().filter(|(at, _)| at == address);
        let mut connection = match kept {
            Some((_, connection)) => connection,
            None => link::open(address, supplies, &link::settings(None)).await.map_err(|error| {
                self.core.servers.read_map_soon();
                unavailable(format!("no connection to {address}: {error}"))
            })?,
        };
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(limits::RECEIVE_ENTRIES_MAX);
        let block_ms = patience.as_millis() as u64;
        if block_ms > 0 {
            command.arg("BLOCK").arg(block_ms);
        }
        command.arg("STREAMS").arg(&key).arg(format!("{}-{}", after.0, after.1));
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command);
        let read = link::send(&mut connection, &commands, &supplies.counters);
        let Ok(read) = tokio::time::timeout(patience + limits::RESPONSE_TIMEOUT, read).await else {
            self.core.servers.read_map_soon();
            return Err(unavailable(format!("{address} has not answered in time")));
        };
        let answer = read.map_err(|error| {
            self.core.servers.read_map_soon();
            unavailable(failure::under_way(&error, address).into_why())
        })?;
        match answer.into_iter().next().map(|answer| judge(answer, address)) {
            Some(Outcome::Answer(answer)) => {
                self.readers().entry(node).or_default().wire = Some((address.clone(), connection));
                Ok(Some(answer))
            }
            // `UNBLOCKED`: the server has become a replica.
            Some(Outcome::Moved(_) | Outcome::Ask(_) | Outcome::TryAgain | Outcome::Failed(_)) => {
                self.core.servers.read_map().await.map_err(|error| unavailable(error.to_string()))?;
                Ok(None)
            }
            Some(Outcome::NoScript) | None => Err(unavailable(misshapen("a box"))),
        }
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<NodeId, BoxReader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seal(to: NodeId, parcels: &[Bytes], bytes: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes);
    for parcel in parcels {
        // A box is smaller than 4 GiB.
        all.extend_from_slice(&(parcel.len() as u32).to_le_bytes());
        all.extend_from_slice(parcel);
    }
    record::seal(Space::Parcels, &to.0.to_be_bytes(), [&all, &[]])
}

/// The parcels of a read behind a position. `None` when the answer is not one of `XREAD`.
fn open(node: NodeId, after: Position, answer: Value) -> Option<Vec<(Position, Bytes)>> {
    let mut found = Vec::new();
    for (_, entries) in streams(answer)? {
        for entry in value::list(entries)? {
            let [id, fields] = value::parts(entry)?;
            let [_, sealed] = value::parts(fields)?;
            let id = value::text(id)?;
            let (bytes, parcels) = id.split_once('-')?;
            let (bytes, last): (u64, u64) = (bytes.parse().ok()?, parcels.parse().ok()?);
            let sealed = Bytes::from(value::bytes(sealed)?);
            let Some(parcels) = parcels_of(node, &sealed) else {
                tracing::error!(node = node.0, "parcels are damaged and left out");
                continue;
            };
            let first = last + 1 - parcels.len() as u64;
            let positions = (first..).map(|number| Position(bytes, number));
            found.extend(positions.zip(parcels).filter(|(position, _)| *position > after));
        }
    }
    Some(found)
}

/// Streams and their entries: a map in RESP3.
fn streams(answer: Value) -> Option<Vec<(Value, Value)>> {
    match answer {
        Value::Map(pairs) => Some(pairs),
        other => value::list(other)?.into_iter().map(|pair| value::parts(pair).map(|[key, entries]| (key, entries))).collect(),
    }
}

/// Takes an entry apart. `None` when it does not read.
fn parcels_of(node: NodeId, sealed: &Bytes) -> Option<Vec<Bytes>> {
    let payload = record::open(Space::Parcels, &node.0.to_be_bytes(), sealed).ok()?;
    let mut rest = sealed.slice_ref(payload);
    let mut parcels = Vec::new();
    while let Some(len) = rest.first_chunk::<PARCEL_HEAD_BYTES>() {
        let len = u32::from_le_bytes(*len) as usize;
        let end = PARCEL_HEAD_BYTES + len;
        if rest.len() < end {
            return None;
        }
        parcels.push(rest.slice(PARCEL_HEAD_BYTES..end));
        rest = rest.slice(end..);
    }
    rest.is_empty().then_some(parcels)
}
