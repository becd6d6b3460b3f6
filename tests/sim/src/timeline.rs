//! Virtual time: what happens when. Nothing else makes time pass.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// A moment, in microseconds since the simulation began.
pub type Micros = u64;

/// Microseconds of a millisecond.
pub const MS: Micros = 1_000;
/// Microseconds of a second.
pub const SECOND: Micros = 1_000 * MS;

type Action = Box<dyn FnOnce() + Send>;

/// What is going to happen, in order. Shared by everything that takes time.
pub struct Timeline {
    inner: Mutex<Inner>,
}

struct Inner {
    now: Micros,
    planned: u64,
    coming: BinaryHeap<Reverse<Planned>>,
    chance: Rng,
    digest: u64,
}

struct Planned {
    at: Micros,
    /// Things of one moment happen in the order in which they were planned.
    number: u64,
    action: Action,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Timeline {
    /// At the beginning; chance is what the seed says.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let inner =
            Inner { now: 0, planned: 0, coming: BinaryHeap::new(), chance: Rng::with_seed(seed), digest: 0xcbf2_9ce4_8422_2325 };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in here is a defect of the simulator and ends the run.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The moment.
    pub fn now(&self) -> Micros {
        self.lock().now
    }

    /// Plans something.
    pub fn at(&self, at: Micros, action: impl FnOnce() + Send + 'static) {
        let mut inner = self.lock();
        inner.planned += 1;
        let planned = Planned { at: at.max(inner.now), number: inner.planned, action: Box::new(action) };
        inner.coming.push(Reverse(planned));
    }

    /// Plans something for so long after now.
    pub fn after(&self, wait: Micros, action: impl FnOnce() + Send + 'static) {
        let at = self.now() + wait;
        self.at(at, action);
    }

    /// Goes on to what comes next, if it comes before that moment; otherwise to the moment itself.
    pub fn advance(&self, end: Micros) -> Option<Action> {
        let mut inner = self.lock();
        match inner.coming.peek() {
            Some(Reverse(first)) if first.at <= end => {
                let Reverse(first) = inner.coming.pop()?;
                inner.now = first.at;
                Some(first.action)
            }
            _ => {
                inner.now = end;
                None
            }
        }
    }

    /// A number below that, by chance.
    pub fn below(&self, end: u64) -> u64 {
        self.lock().chance.u64(0..end.max(1))
    }

    /// Whether something happens that happens so often in a thousand.
    pub fn happens(&self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.below(1_000) < of_thousand
    }

    /// 128 bits by chance.
    pub fn bits(&self) -> u128 {
        self.lock().chance.u128(..)
    }

    /// Notes that something was so at this moment: two runs are the same when everything noted is.
    pub fn note(&self, what: &[u8]) {
        let mut inner = self.lock();
        let now = inner.now.to_le_bytes();
        for byte in now.iter().chain(what) {
            inner.digest = (inner.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// What was noted, as one number.
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }
}
