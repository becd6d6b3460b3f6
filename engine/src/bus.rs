//! How letters reach entities, and deliveries reach gateways. Everything that is sent goes through here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use jono_domain::id::OrganisationId;
use jono_store::{Epoch, ShardId};
use tokio::sync::mpsc;

use crate::delivery::{Deliver, Delivery, Moved, SessionRef};
use crate::kind::shard_of;
use crate::letter::Letter;
use crate::limits::INBOX_MAX;

/// The ways between entities and to gateways. In one process these are channels; a cluster brings others.
///
/// Letters from one sender to one entity arrive in order, perhaps twice. Deliveries to one session arrive in order.
pub trait Bus: Send + Sync + 'static {
    /// Sends a letter to its entity, wherever that lives.
    ///
    /// # Errors
    /// The letter, when too much waits; only letters [from outside](Letter::is_from_outside) come back.
    fn post(&self, letter: Letter) -> Result<(), Box<Letter>>;

    /// Delivers to sessions, wherever they are.
    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>);

    /// Deliveries to the session's process find their way. One that has just joined may not be known here.
    fn reaches(&self, _session: SessionRef) -> bool {
        true
    }

    /// The session's process is no member any more: it ends nothing that it began.
    fn has_gone(&self, _session: SessionRef) -> bool {
        false
    }

    /// The shard is known to be somebody's under a later epoch.
    fn is_outdated(&self, _shard: ShardId, _epoch: Epoch) -> bool {
        false
    }

    /// The settings of an organisation of this process have changed: the other processes use a copy.
    fn settings_changed(&self, _organisation: OrganisationId) {}
}

/// One arbiter's letter box.
#[derive(Debug)]
struct LetterBox {
    sender: mpsc::UnboundedSender<Letter>,
    waiting: Arc<AtomicUsize>,
}

/// What an arbiter takes its letters from.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: mpsc::UnboundedReceiver<Letter>,
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    /// The next letters, at most `limit`; 0 when nobody can send any more.
    pub(crate) async fn receive(&mut self, letters: &mut Vec<Letter>, limit: usize) -> usize {
        let received = self.receiver.recv_many(letters, limit).await;
        self.waiting.fetch_sub(received, Ordering::Relaxed);
        received
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

/// Everything in one process: shards are spread over arbiters, gateways are called.
pub(crate) struct LocalBus {
    shards: u16,
    boxes: Vec<LetterBox>,
    gateways: ArcSwap<Vec<Arc<dyn Deliver>>>,
}

impl LocalBus {
    pub(crate) fn new(shards: u16, arbiters: usize) -> (Arc<Self>, Vec<Inbox>) {
        let (boxes, inboxes) = (0..arbiters)
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                let waiting = Arc::new(AtomicUsize::new(0));
                (LetterBox { sender, waiting: Arc::clone(&waiting) }, Inbox { receiver, waiting })
            })
            .unzip();
        (Arc::new(Self { shards, boxes, gateways: ArcSwap::default() }), inboxes)
    }

    /// Numbers a gateway.
    pub(crate) fn attach(&self, gateway: &Arc<dyn Deliver>) -> u64 {
        let before = self.gateways.rcu(|gateways| {
            let mut gateways = Vec::clone(gateways);
            gateways.push(Arc::clone(gateway));
            gateways
        });
        before.len() as u64
    }

    /// Other processes serve these entities now: the gateways of this one follow again.
    pub(crate) fn moved(&self, moved: &Moved) {
        self.gateways.load().iter().for_each(|gateway| gateway.moved(moved));
    }

    /// The gateways of this process begin anew.
    pub(crate) fn reset(&self) {
        self.gateways.load().iter().for_each(|gateway| gateway.reset());
    }

    /// Letters that wait for arbiters.
    pub(crate) fn waiting(&self) -> usize {
        self.boxes.iter().map(|letters| letters.waiting.load(Ordering::Relaxed)).sum()
    }
}

impl Bus for LocalBus {
    fn post(&self, letter: Letter) -> Result<(), Box<Letter>> {
        let shard = shard_of(letter.address(), self.shards);
        let letters = &self.boxes[usize::from(shard.0) % self.boxes.len()];
        if letter.is_from_outside() && letters.waiting.load(Ordering::Relaxed) >= INBOX_MAX {
            return Err(Box::new(letter));
        }
        letters.waiting.fetch_add(1, Ordering::Relaxed);
        // An arbiter that is gone has stopped with the engine: nobody is left to be told.
        let _ = letters.sender.send(letter);
        Ok(())
    }

    fn deliver(&self, batch: Vec<(SessionRef, Delivery)>) {
        let gateways = self.gateways.load();
        match gateways.as_slice() {
            [] => {}
            [only] => only.deliver(batch),
            several => {
                let mut sorted: Vec<Vec<_>> = several.iter().map(|_| Vec::new()).collect();
                for (session, delivery) in batch {
                    if let Some(batch) = sorted.get_mut(session.gateway as usize) {
                        batch.push((session, delivery));
                    }
                }
                let filled = several.iter().zip(sorted).filter(|(_, batch)| !batch.is_empty());
                filled.for_each(|(gateway, batch)| gateway.deliver(batch));
            }
        }
    }
}
