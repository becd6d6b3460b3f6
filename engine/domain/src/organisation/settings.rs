//! Settings of organisations and queues, with the defaults of the specification.

use serde::{Deserialize, Serialize};

use crate::id::QueueId;
use crate::time::{HOUR_MS, MINUTE_MS};

/// Settings of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationSettings {
    /// How long an agent stays online after the last connection dropped (SPEC section 3).
    pub offline_after_ms: u64,
}

impl Default for OrganisationSettings {
    fn default() -> Self {
        Self { offline_after_ms: 15 * MINUTE_MS }
    }
}

/// When the release clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseClock {
    /// Always while the conversation is claimed.
    #[default]
    Always,
    /// Only while the customer waits for an answer.
    CustomerWaits,
}

/// The part of a queue's settings that a conversation lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A claim is dropped after so long without activity of its holder (L8).
    pub release_after_ms: u64,
    /// When that clock runs (L8).
    pub release_clock: ReleaseClock,
    /// A conversation is closed after so long without activity of its customer (L9).
    pub close_after_ms: u64,
    /// How long before a deadline it is announced (L10).
    pub warn_before_ms: u64,
    /// How long tags and notes can be changed after the end (L11).
    pub edit_after_close_ms: u64,
    /// Do agents see what the customer is typing (SPEC section 4)?
    pub typing_preview: bool,
    /// Is the customer shown a position (L3)?
    pub show_position: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            release_after_ms: 5 * MINUTE_MS,
            release_clock: ReleaseClock::Always,
            close_after_ms: 15 * MINUTE_MS,
            warn_before_ms: MINUTE_MS,
            edit_after_close_ms: 6 * HOUR_MS,
            typing_preview: false,
            show_position: true,
        }
    }
}

/// Settings of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSettings {
    /// What its conversations live by.
    pub policy: Policy,
    /// How many may wait; `None` is any number.
    pub waiting_max: Option<u32>,
    /// Queues that its conversations can be transferred to; `None` is every queue of the organisation.
    pub transfer_targets: Option<Vec<QueueId>>,
}
