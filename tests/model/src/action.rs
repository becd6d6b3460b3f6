//! The things that may happen next; a model's trace is a list of these.

use crate::talk::Body;

/// Something happens. Engines and requests by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A letter is taken by an engine.
    Take(usize, usize),
    /// A deadline passes.
    Expire(usize, Body),
    /// A commit arrives at the store.
    Commit(usize),
    /// Its outcome arrives at the engine.
    Confirm(usize),
    /// The conversation is read again.
    Load(usize),
    /// A beat, and the look at what it brings.
    Beat(usize),
    /// A look at what a beat has brought, after a pause.
    Look(usize),
    /// Out of touch.
    Stop(usize),
    /// Dead members are removed.
    Remove(usize),
    /// The epoch is raised.
    Raise(usize),
    /// The shard is read, and served.
    Adopt(usize),
    /// The shard is given back.
    GiveBack(usize),
    /// A commit that nobody waits for any more arrives at the store.
    CommitLate(usize),
    /// A fault: the process ends.
    Crash(usize),
    /// It is started again.
    Restart(usize),
    /// A fault: the process stands still.
    Pause(usize),
    /// A fault: it does so having taken a letter, before it has said anything.
    PauseInTake(usize, usize),
    /// A fault: it does so between a beat and the look at what it brings.
    PauseInBeat(usize),
    /// It goes on.
    Resume(usize),
    /// A fault: the wall clock of its machine is set.
    SetClock(usize, i8),
    /// A fault: its call of the store takes long.
    Delay(usize),
    /// A fault: the answer to its call of the store is lost.
    LoseAnswer(usize),
    /// A fault: the answer to its beat is lost.
    LoseBeat(usize),
    /// A fault: a letter comes twice.
    Duplicate(usize),
}
