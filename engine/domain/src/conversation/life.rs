//! The support life cycle: waiting, claimed, ended, and the clocks that run meanwhile.

use jono_points::{Rule, is_broken};
use serde::{Deserialize, Serialize};

use super::CloseCause;
use crate::id::AgentId;
use crate::notice::{Deadlines, Warning};
use crate::organisation::{Policy, ReleaseClock};
use crate::time::Time;

/// Where a conversation is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nobody has started it.
    #[default]
    Nothing,
    /// In its queue.
    Waiting,
    /// Claimed.
    Active {
        /// By whom.
        holder: AgentId,
    },
    /// Over.
    Closed {
        /// Since when.
        at: Time,
        /// Why.
        cause: CloseCause,
    },
}

/// The life of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Where it is.
    pub phase: Phase,
    /// The number of the last claim; grows with each.
    pub claim: u64,
    /// When the customer began to wait, first (L2).
    pub waiting_since: Time,
    /// Place in the order of waiting.
    pub priority: i8,
    /// The holder was active up to this moment.
    pub agent_active_at: Time,
    /// The customer was active up to this moment, or the close clock began anew here.
    pub customer_active_at: Time,
    /// Since when the customer waits for an answer, if they do.
    pub unanswered_since: Option<Time>,
    /// Since when the customer is not connected; `None` while they are.
    pub disconnected_since: Option<Time>,
    /// The settings in force.
    pub policy: Policy,
    /// The release deadline that a warning was given for.
    pub warned_release: Option<Time>,
    /// The close deadline that a warning was given for.
    pub warned_close: Option<Time>,
}

impl Life {
    /// Who holds the claim.
    #[must_use]
    pub fn holder(&self) -> Option<AgentId> {
        match self.phase {
            Phase::Active { holder } => Some(holder),
            Phase::Nothing | Phase::Waiting | Phase::Closed { .. } => None,
        }
    }

    /// Waiting or active.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Active { .. } => true,
            Phase::Nothing | Phase::Closed { .. } => false,
        }
    }

    /// The deadlines as they stand (L8, L9, L10).
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines { release_at: self.release_at(), close_at: self.close_at() }
    }

    fn release_at(&self) -> Option<Time> {
        self.holder()?;
        let from = match self.policy.release_clock {
            ReleaseClock::Always => self.agent_active_at,
            ReleaseClock::CustomerWaits => self.unanswered_since?.max(self.agent_active_at),
        };
        let after_ms = self.policy.release_after_ms;
        Some(from + if is_broken(Rule::DeadlinesAreKept) { after_ms / 2 } else { after_ms })
    }

    fn close_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Active { .. } => Some(self.customer_active_at + self.policy.close_after_ms),
            // L9: while it waits, the clock runs only while the customer is away.
            Phase::Waiting => {
                let since = self.disconnected_since?;
                Some(since.max(self.customer_active_at) + self.policy.close_after_ms)
            }
            Phase::Nothing | Phase::Closed { .. } => None,
        }
    }

    /// How long before a deadline its warning is given: the setting, but never more than half the window.
    fn warn_before_ms(&self, window_ms: u64) -> u64 {
        self.policy.warn_before_ms.min(window_ms / 2)
    }

    /// The warnings still to be given: which, when, and for which deadline.
    fn warnings(&self) -> impl Iterator<Item = (Warning, Time, Time)> {
        let deadlines = self.deadlines();
        let release = deadlines
            .release_at
            .filter(|at| self.warned_release != Some(*at))
            .map(|at| (Warning::Release, at - self.warn_before_ms(self.policy.release_after_ms), at));
        let close = deadlines
            .close_at
            .filter(|at| self.warned_close != Some(*at))
            .map(|at| (Warning::Close, at - self.warn_before_ms(self.policy.close_after_ms), at));
        release.into_iter().chain(close)
    }

    /// The warnings that are due.
    pub(super) fn due_warnings(&self, now: Time) -> Vec<(Warning, Time)> {
        self.warnings().filter(|(_, warn_at, _)| *warn_at <= now).map(|(warning, _, deadline)| (warning, deadline)).collect()
    }

    /// When something is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = self.deadlines();
        self.warnings().map(|(_, warn_at, _)| warn_at).chain(deadlines.release_at).chain(deadlines.close_at).min()
    }
}
