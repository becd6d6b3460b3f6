//! Time, in ticks. What matters is how the spans stand to each other; `tests/real.rs` holds that against the engine's
//! constants, for which they stand.
//!
//! Nothing counts from a beginning: moments are kept by how far they lie back, so the same situation an hour later is the same
//! state, and time has no end in the model.

/// A process whose last confirmed beat was sent so long ago serves nothing: `STOP_AFTER_MS`.
pub const STOP_AFTER: i8 = 2;
/// Silence after which a member is taken for dead: `DEAD_AFTER_MS`.
pub const DEAD_AFTER: i8 = 3;
/// What one look adds to a silence at most: `LOOK_COUNTS_MS`. Everybody looks once a tick, so it is also `BEAT_EVERY_MS`.
pub const LOOK_COUNTS: i8 = 1;
/// A claim is dropped after so long: `Policy::release_after_ms`. Longer than a takeover takes, as in truth.
pub const RELEASE_AFTER: i8 = 5;
/// A conversation is closed so long after its customer's last message: `Policy::close_after_ms`.
pub const CLOSE_AFTER: i8 = 6;
/// By so much somebody sets a machine's wall clock.
pub const CLOCK_STEP: i8 = 1;
/// After the last fault a shard is unserved for so many ticks at most (G13).
pub const SERVED_WITHIN: u8 = 5;

/// What lies further back than this is long past, whoever's clock is asked.
const LONG_PAST: i8 = -(CLOSE_AFTER + 2 * CLOCK_STEP + 2);

/// A moment, as a process read it from its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// What the clock showed, less the true time of now.
    pub shown: i8,
    /// What the clock showed too much. Nobody in the system knows this.
    pub ahead: i8,
    /// As far as the wall had shown it when that process was started.
    pub excused: i8,
}

impl Moment {
    /// A tick has passed.
    pub fn age(&mut self) {
        self.shown = (self.shown - 1).max(LONG_PAST);
    }

    /// The time that has truly passed from this moment to a later one.
    #[must_use]
    pub fn until(self, later: Moment) -> i8 {
        (later.shown - later.ahead) - (self.shown - self.ahead)
    }

    /// Did less than the span pass, and not only since the later clock is ahead of the one that began?
    #[must_use]
    pub fn is_early(self, later: Moment, span: i8) -> bool {
        self.shown > LONG_PAST && self.until(later) < span - (later.excused - self.excused).max(0)
    }
}
