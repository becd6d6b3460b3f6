//! The way to one other process: items in order, in numbered parcels, one call under way at a time. When it falls still, one more
//! parcel follows, with nothing in it, and others from time to time: should the last ones have been lost, the receiver notices by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use jono_points::{KillPoint, pass};
use jono_store::{Exchange, ExchangeError, NodeId};
use tokio::sync::mpsc;

use super::envelope::{Stamp, pack};
use super::limits::{LINK_BYTES_MAX, LINK_STILL_AFTER_MS, LINK_STILL_AGAIN_AFTER_MS, SEND_AGAIN_AFTER_MS};
use crate::clock::Clock;

/// Items packed in one go.
const ITEMS_AT_ONCE: usize = 4096;

/// Parcels of one call, some 4 MiB: what has waited through an outage may be more than a box takes at once, or Redis carries out in
/// time.
const PARCELS_AT_ONCE: usize = 16;

/// Where items are put; clones and drops are cheap. When the last one is dropped, the way ends behind what was put.
#[derive(Debug)]
pub(crate) struct Link {
    items: mpsc::UnboundedSender<Bytes>,
    load: Arc<LinkLoad>,
}

#[derive(Debug, Default)]
struct LinkLoad {
    bytes: AtomicU64,
    /// Items were left out: a number is left out too, and the receiver notices.
    has_hole: AtomicBool,
    is_cut: AtomicBool,
}

impl Link {
    /// Opens a way, which no way that this process opened before has the number of; runs on the calling arbiter. Parcels say which
    /// log is the process's when they are packed.
    pub(crate) fn open(
        exchange: Arc<dyn Exchange>,
        clock: Arc<dyn Clock>,
        (from, way, log): (NodeId, u64, Arc<AtomicU64>),
        to: NodeId,
    ) -> Arc<Self> {
        let (items, inbox) = mpsc::unbounded_channel();
        let load = Arc::new(LinkLoad::default());
        let stamp = Stamp { from, log: 0, way, number: 0 };
        actix_rt::spawn(run(exchange, clock, (stamp, log, to), inbox, Arc::clone(&load)));
        Arc::new(Self { items, load })
    }

    /// Puts an item behind the others. What finds no room is left out, and the receiver will know.
    pub(crate) fn put(&self, item: Bytes) {
        let bytes = item.len() as u64;
        if self.load.bytes.load(Ordering::Relaxed) + bytes > LINK_BYTES_MAX as u64 {
            self.load.has_hole.store(true, Ordering::Relaxed);
            return;
        }
        self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A way that has ended leads to nobody.
        let _ = self.items.send(item);
    }

    /// Nobody is there any more: what waits is dropped.
    pub(crate) fn cut(&self) {
        self.load.is_cut.store(true, Ordering::Relaxed);
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        if self.load.is_cut.load(Ordering::Relaxed) { 0 } else { self.load.bytes.load(Ordering::Relaxed) }
    }
}

async fn run(
    exchange: Arc<dyn Exchange>,
    clock: Arc<dyn Clock>,
    (mut stamp, log, to): (Stamp, Arc<AtomicU64>, NodeId),
    mut inbox: mpsc::UnboundedReceiver<Bytes>,
    load: Arc<LinkLoad>,
) {
    let mut items = Vec::new();
    let mut still_at = None;
    loop {
        let still = async { if let Some(at) = still_at { clock.sleep_until(at).await } else { std::future::pending().await } };
        tokio::select! {
            biased;
            count = inbox.recv_many(&mut items, ITEMS_AT_ONCE) => match count {
                0 => return,
                _ => still_at = Some(clock.now() + LINK_STILL_AFTER_MS),
            },
            () = still => still_at = Some(clock.now() + LINK_STILL_AGAIN_AFTER_MS),
        }
        let bytes: usize = items.iter().map(Bytes::len).sum();
        stamp.log = log.load(Ordering::Relaxed);
        let parcels = pack(&mut stamp, &items);
        items.clear();
        for parcels in parcels.chunks(PARCELS_AT_ONCE) {
            pass(KillPoint::ParcelPacked);
            if !carry(&exchange, &clock, to, parcels, &load).await {
                return;
            }
            pass(KillPoint::ParcelSent);
        }
        load.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        if load.has_hole.swap(false, Ordering::Relaxed) {
            tracing::warn!(to = to.0, "a process does not read what it is sent: some was left out");
            stamp.number += 1;
        }
    }
}

/// Sends until they are there. Says whether anybody is there to send to.
async fn carry(exchange: &Arc<dyn Exchange>, clock: &Arc<dyn Clock>, to: NodeId, parcels: &[Bytes], load: &LinkLoad) -> bool {
    loop {
        match exchange.send(to, parcels.to_vec()).await {
            Ok(()) => return true,
            Err(ExchangeError::Gone) => {
                load.is_cut.store(true, Ordering::Relaxed);
                return false;
            }
            Err(error) if load.is_cut.load(Ordering::Relaxed) => {
                tracing::debug!(to = to.0, %error, "given up: the process is gone");
                return false;
            }
            // Sent again under the same numbers, whatever became of it: the receiver knows them again.
            Err(error) => {
                tracing::debug!(to = to.0, %error, "parcels wait");
                clock.sleep_until(clock.now() + SEND_AGAIN_AFTER_MS).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jono_store::{MemoryExchange, Position};

    use super::*;
    use jono_domain::time::Time;

    use crate::clock::{ManualClock, SystemClock};
    use crate::cluster::envelope::unpack;
    use crate::cluster::limits::PARCEL_BYTES_MAX;

    #[test]
    fn a_way_that_is_still_says_so_again() {
        actix_rt::System::new().block_on(async {
            let (exchange, clock) = (MemoryExchange::new(), ManualClock::at(Time(0)));
            let to = exchange.join(Bytes::new()).await.unwrap();
            let link = Link::open(Arc::new(exchange.clone()), clock.clone(), (NodeId(77), 1, Arc::default()), to);
            link.put(Bytes::from_static(b"hello"));
            let mut position = Position::START;
            // What was said, that it is still, and that it still is.
            for (number, ms) in [(1, 0), (2, LINK_STILL_AFTER_MS), (3, LINK_STILL_AGAIN_AFTER_MS), (4, LINK_STILL_AGAIN_AFTER_MS)]
            {
                clock.advance(ms);
                let come = exchange.receive(to, position, Duration::from_secs(60)).await.unwrap();
                assert_eq!(come.len(), 1);
                let parcel = unpack(&come[0].1).unwrap();
                assert_eq!((parcel.stamp.number, parcel.items.len()), (number, usize::from(number == 1)));
                position = come[0].0;
            }
        });
    }

    #[test]
    fn more_than_a_box_takes_is_carried_piece_by_piece() {
        actix_rt::System::new().block_on(async {
            let exchange = MemoryExchange::with_box_limits(PARCELS_AT_ONCE, usize::MAX);
            let to = exchange.join(Bytes::new()).await.unwrap();
            let link = Link::open(Arc::new(exchange.clone()), SystemClock::start(), (NodeId(77), 1, Arc::default()), to);
            let items = 3 * PARCELS_AT_ONCE;
            (0..items).for_each(|item| link.put(Bytes::from(vec![item as u8; PARCEL_BYTES_MAX / 2 + 1])));
            let (mut come, mut position) = (Vec::new(), Position::START);
            while come.len() < items {
                for (at, parcel) in exchange.receive(to, position, Duration::from_secs(60)).await.unwrap() {
                    position = at;
                    come.extend(unpack(&parcel).unwrap().items.iter().map(|item| item[0]));
                }
            }
            assert_eq!(come, (0..items as u8).collect::<Vec<_>>());
        });
    }
}
