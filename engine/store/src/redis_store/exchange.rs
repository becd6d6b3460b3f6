//! Members and owners: who is there, and who writes which shard.
//!
//! ```text
//! <prefix>:{members}:state     hash: last number of a member, version of the owners, identity of the records
//! <prefix>:{members}:beats     hash: member -> beats
//! <prefix>:{members}:cards     hash: member -> card
//! <prefix>:{members}:owners    hash: shard -> epoch, whether it was given back, owner
//! <prefix>:{members}:servers   hash: run of a master -> its name in the cluster; see [`identity`](super::identity)
//! ```
//!
//! Numbers of members and versions of owners begin at a random place, so that they mean nothing in another life of the same Redis.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::Value;

use super::boxes::Boxes;
use super::call::Call;
use super::core::Core;
use super::failure::Failure;
use super::identity::Watch;
use super::keys::Keys;
use super::script::{self, Script};
use super::value::{self, misshapen};
use crate::{Epoch, Exchange, ExchangeError, Member, NodeId, Owner, Picture, Position, ShardId};

/// The exchange of the processes that share a Redis. A clone is the same connection.
///
/// Its records need not be as durable as commits: a process that finds itself removed joins again, and fencing does not rest on what is
/// published here.
#[derive(Clone)]
pub struct RedisExchange(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    boxes: Boxes,
    watch: Watch,
}

impl std::fmt::Debug for RedisExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisExchange").finish_non_exhaustive()
    }
}

impl RedisExchange {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let boxes = Boxes::new(Arc::clone(&core));
        Self(Arc::new(Inner { core, boxes, watch: Watch::default() }))
    }

    /// The picture as it is noted, for an operator who has written nothing, and whose durability is not that of those who have:
    /// unlike [`look`](Exchange::look) it does not judge whether records were lost. The identity is 0 where there is none yet.
    ///
    /// # Errors
    /// [`ExchangeError::Unavailable`] or [`ExchangeError::Unknown`], when Redis does not answer.
    pub fn glance(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.start(|inner| async move { inner.glance().await })
    }

    /// Starts something on the connections' thread.
    fn start<T: Send + 'static, F: Future<Output = Result<T, ExchangeError>> + Send + 'static>(
        &self,
        call: impl FnOnce(Arc<Inner>) -> F,
    ) -> BoxFuture<'static, Result<T, ExchangeError>> {
        let task = self.0.core.thread.start_task(call(Arc::clone(&self.0)));
        async move { task.await.unwrap_or_else(|| Err(ExchangeError::Unknown("the exchange is gone".into()))) }.boxed()
    }
}

/// What a failed call means to whoever wanted something of the others.
pub(super) fn exchange_error(failure: Failure) -> ExchangeError {
    match failure {
        Failure::Refused(why) => ExchangeError::Unavailable(why),
        Failure::Lost(why) | Failure::Silent(why) => ExchangeError::Unknown(why),
    }
}

/// A random number with so many bits.
pub(super) fn lot(bits: u32) -> Result<u64, ExchangeError> {
    let lot = getrandom::u64().map_err(|error| ExchangeError::Unavailable(error.to_string()))?;
    Ok(lot >> (u64::BITS - bits))
}

impl Inner {
    fn keys<const N: usize>(&self, names: [&str; N]) -> [Vec<u8>; N] {
        names.map(|name| self.core.keys.common(name))
    }

    async fn call(&self, call: &Call) -> Result<Value, ExchangeError> {
        self.core.servers.call(Keys::common_slot(), 0, call).await.map_err(exchange_error)
    }

    async fn join(&self, card: &[u8]) -> Result<NodeId, ExchangeError> {
        let keys = self.keys(["state", "beats", "cards"]);
        let mut number = script::JOIN.on(&keys);
        number.arg("number").arg(lot(12)?);
        let number = value::number(self.call(&Call::write(&script::JOIN, number)).await?);
        let shape = || ExchangeError::Unavailable(misshapen("a number"));
        let node = NodeId(u32::try_from(number.ok_or_else(shape)?).map_err(|_| shape())?);
        // Whoever sees a member may send to it, so its box comes first.
        self.boxes.make(node).await?;
        let mut enter = script::JOIN.on(&keys);
        enter.arg("").arg(node.0).arg(card);
        self.call(&Call::write(&script::JOIN, enter)).await?;
        Ok(node)
    }

    async fn beat(&self, node: NodeId, card: &[u8], known_owners: u64) -> Result<Picture, ExchangeError> {
        let (renewed, ()) = futures_util::future::join(self.boxes.renew(node), self.watch.look(&self.core)).await;
        match renewed {
            Ok(()) => {}
            Err(ExchangeError::Gone) => {
                // Without a box it is no member, whatever the list says.
                self.remove(node).await?;
                return Err(ExchangeError::Gone);
            }
            Err(error) => return Err(error),
        }
        let mut command = self.picture_script(&script::BEAT);
        command.arg(known_owners).arg(node.0).arg(card);
        match self.call(&Call::write(&script::BEAT, command)).await? {
            Value::Nil => Err(ExchangeError::Gone),
            picture => self.complete(picture).await,
        }
    }

    async fn look(&self) -> Result<Picture, ExchangeError> {
        self.watch.look(&self.core).await;
        self.complete(self.picture().await?).await
    }

    async fn glance(&self) -> Result<Picture, ExchangeError> {
        read_picture(self.picture().await?).ok_or_else(|| ExchangeError::Unavailable(misshapen("the picture")))
    }

    async fn picture(&self) -> Result<Value, ExchangeError> {
        self.call(&Call::read(&script::LOOK, self.picture_script(&script::LOOK))).await
    }

    /// A picture whose records have no identity, as after `FLUSHALL`, is none yet.
    async fn complete(&self, picture: Value) -> Result<Picture, ExchangeError> {
        let picture = read_picture(picture).ok_or_else(|| ExchangeError::Unavailable(misshapen("the picture")))?;
        if picture.log_identity == 0 {
            self.watch.hurry().await;
            return Err(ExchangeError::Unavailable("the records have no identity yet".into()));
        }
        Ok(picture)
    }

    fn picture_script(&self, script: &'static Script) -> redis::Cmd {
        script.on(&self.keys(["state", "beats", "cards", "owners"]))
    }

    async fn remove(&self, node: NodeId) -> Result<(), ExchangeError> {
        for name in ["beats", "cards"] {
            let mut command = redis::cmd("HDEL");
            command.arg(self.core.keys.common(name)).arg(node.0);
            self.call(&Call { command, script: None, kind: super::call::Kind::Write }).await?;
        }
        self.boxes.remove(node).await
    }

    async fn publish(&self, owners: &[(ShardId, Owner)]) -> Result<(), ExchangeError> {
        for piece in owners.chunks(super::limits::ARGUMENTS_MAX) {
            let mut command = script::PUBLISH.on(&self.keys(["state", "owners"]));
            command.arg(lot(40)?);
            for (shard, owner) in piece {
                let rank = format!("{:020}{}", owner.epoch.0, u8::from(owner.node.is_none()));
                command.arg(shard.0).arg(rank).arg(owner.node.map_or(0, |node| node.0));
            }
            self.call(&Call::write(&script::PUBLISH, command)).await?;
        }
        Ok(())
    }
}

/// Members, cards, version, owners (or nothing), identity.
fn read_picture(picture: Value) -> Option<Picture> {
    let [beats, cards, version, owners, identity] = value::parts(picture)?;
    let mut cards: Vec<(u64, Bytes)> = value::pairs(cards)?
        .into_iter()
        .map(|(node, card)| Some((value::number(node)?, value::bytes(card)?.into())))
        .collect::<Option<_>>()?;
    let mut members = Vec::new();
    for (node, beat) in value::pairs(beats)? {
        let number = value::number(node)?;
        let place = cards.iter().position(|(of, _)| *of == number);
        let card = place.map_or_else(Bytes::new, |place| cards.swap_remove(place).1);
        members.push(Member { node: NodeId(u32::try_from(number).ok()?), beat: value::number(beat)?, card });
    }
    members.sort_by_key(|member| member.node);
    let owners = match owners {
        Value::Nil | Value::Boolean(false) => None,
        owners => Some(read_owners(owners)?),
    };
    Some(Picture { members, owners_version: value::number(version)?, owners, log_identity: value::number(identity)? })
}

/// Owners by shard.
pub(super) fn read_owners(owners: Value) -> Option<Vec<(ShardId, Owner)>> {
    let mut read = Vec::new();
    for (shard, owner) in value::pairs(owners)? {
        let shard = ShardId(u16::try_from(value::number(shard)?).ok()?);
        let owner = value::text(owner)?;
        let (rank, node) = owner.split_once(':')?;
        let (epoch, given_back) = rank.split_at_checked(20)?;
        let node = if given_back == "1" { None } else { Some(NodeId(node.parse().ok()?)) };
        read.push((shard, Owner { node, epoch: Epoch(epoch.parse().ok()?) }));
    }
    read.sort_by_key(|(shard, _)| *shard);
    Some(read)
}

impl Exchange for RedisExchange {
    fn join(&self, card: Bytes) -> BoxFuture<'static, Result<NodeId, ExchangeError>> {
        self.start(|inner| async move { inner.join(&card).await })
    }

    fn beat(&self, node: NodeId, card: Bytes, known_owners: u64) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.start(move |inner| async move { inner.beat(node, &card, known_owners).await })
    }

    fn look(&self) -> BoxFuture<'static, Result<Picture, ExchangeError>> {
        self.start(|inner| async move { inner.look().await })
    }

    fn remove(&self, node: NodeId) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.start(move |inner| async move { inner.remove(node).await })
    }

    fn publish_owners(&self, owners: Vec<(ShardId, Owner)>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.start(|inner| async move { inner.publish(&owners).await })
    }

    fn send(&self, to: NodeId, parcels: Vec<Bytes>) -> BoxFuture<'static, Result<(), ExchangeError>> {
        self.start(move |inner| async move { inner.boxes.send(to, &parcels).await })
    }

    fn receive(
        &self,
        node: NodeId,
        after: Position,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Vec<(Position, Bytes)>, ExchangeError>> {
        self.start(move |inner| async move { inner.boxes.receive(node, after, patience).await })
    }
}
