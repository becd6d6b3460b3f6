//! What is checked: which requests there are, how many faults, and whether the protocol is as it is or one of its rules is broken
//! on purpose.

use crate::talk::Wish;

/// The rules of the protocol that can be broken, to see that somebody notices.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The store compares epochs.
    pub fences: bool,
    /// A process stops so long after its last confirmed beat was sent.
    pub stop_after: i8,
    /// Answers wait for what they rest on.
    pub confirms_first: bool,
    /// An answer that changes nothing, and has waited for others, is given only while the tenure holds.
    pub owns_what_it_says: bool,
    /// A member is removed only if it has not beaten since it was taken for dead. Not so in truth: see `tests/check/holds.rs`.
    pub removes_only_silent: bool,
    /// A claim that is given back must be the one of that number.
    pub compares_numbers: bool,
    /// An alarm that rings looks at the deadline as it is now.
    pub looks_at_deadline: bool,
    /// Answers are stored with what they answer.
    pub remembers: bool,
    /// A running process does not follow its wall clock.
    pub is_steady: bool,
    /// What the dead owned is free.
    pub takes_over: bool,
    /// Who takes a shard over wakes for the deadlines that it finds.
    pub recovers_deadlines: bool,
}

/// As it is.
pub const REAL: Rules = Rules {
    fences: true,
    stop_after: crate::times::STOP_AFTER,
    confirms_first: true,
    owns_what_it_says: true,
    removes_only_silent: false,
    compares_numbers: true,
    looks_at_deadline: true,
    remembers: true,
    is_steady: true,
    takes_over: true,
    recovers_deadlines: true,
};

/// Faults that may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Of whatever kind.
    pub in_all: u8,
    /// An engine ends, and perhaps begins again.
    pub crashes: u8,
    /// An engine stands still, in the midst of whatever it does, and goes on some time later.
    pub pauses: u8,
    /// Somebody sets a machine's wall clock, forwards or backwards.
    pub clock_steps: u8,
    /// An answer of the store, or a beat, is lost.
    pub losses: u8,
    /// A call of the store takes longer than a tick.
    pub delays: u8,
    /// A request is sent again though nothing was lost.
    pub duplicates: u8,
}

/// What is checked.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The rules.
    pub rules: Rules,
    /// Who wants what, each under a key of its own. Agents that want the same ask in this order. The number of a claim that is
    /// given back is not known here: it is the one that its agent was told first.
    pub wishes: Vec<Wish>,
    /// The close clock runs.
    pub closes: bool,
    /// How much may go wrong.
    pub faults: Faults,
    /// A process that comes back is given the shard: it is given back in order. Otherwise the one that has it keeps it.
    pub prefers_newcomers: bool,
}
