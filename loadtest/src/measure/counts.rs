//! Everything that is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::target::Reason;

macro_rules! counted {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_about])* pub $field: u64,)*
        }

        impl $name {
            /// Every count with its name.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field),)*]
            }

            fn add_numbers(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counted! {
    /// What happened.
    Numbers {
        /// Messages that were to be sent.
        intended,
        /// Messages that left.
        sent,
        /// Messages that the server said it has.
        acknowledged,
        /// Messages that the other side was shown.
        delivered,
        /// Messages sent again after a connection fell.
        repeated_sends,
        /// Messages that had nobody to write them.
        nobody,
        /// Messages and visitors that the generator was too slow to let arrive before their phase was over.
        too_late,
        /// Notes written.
        notes,
        /// Times somebody was shown that the other side types.
        typing_shown,
        /// Visitors that came.
        visitors,
        /// Visits that were played to their end.
        visits,
        /// Conversations that wait or waited.
        begun,
        /// Conversations that were picked.
        picked,
        /// Picks that found nobody.
        picks_empty,
        /// Conversations given to another agent.
        hand_overs,
        /// Connections that were opened for the first time.
        connected,
        /// Attempts to connect that failed.
        connect_failures,
        /// Sessions that came back after a connection had ended.
        resumed,
        /// Sessions that came back and were told that they missed something.
        gaps_admitted,
        /// Messages that were acknowledged, and missed in such a gap.
        missed_in_gaps,
        /// Connections that the generator cut.
        cut,
        /// Connections that ended by themselves.
        disconnects,
    }
}

counted! {
    /// What must not happen. Anything but zeros is exit code 1.
    Wrongness {
        /// Acknowledged, and never shown to the other side.
        lost,
        /// Neither acknowledged nor refused until the end.
        unanswered,
        /// Never left, since its sender's connection had not come back by the end.
        unsent,
        /// Shown twice to the same viewer.
        repeated,
        /// Shown after a later one.
        disorder,
        /// Shown to somebody whose it is not, or never sent.
        foreign,
        /// Shown with another text than was written, by the sum in its mark.
        altered,
        /// Acknowledged twice.
        acknowledged_twice,
        /// Refused, and shown all the same.
        shown_though_refused,
        /// By the server's own numbering: an event came twice.
        events_repeated,
        /// By the server's own numbering: a hole or disorder.
        events_missing,
        /// By the server's own numbering: an event of a conversation that the session does not follow, or a note shown to a customer.
        events_foreign,
    }
}

impl Wrongness {
    /// Adds what another process found.
    pub fn add(&mut self, other: &Self) {
        self.add_numbers(other);
    }

    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.all().iter().all(|(_, count)| *count == 0)
    }
}

/// What happened, with refusals by their reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Messages that the server refused, by reason.
    #[serde(default)]
    pub refused: BTreeMap<Reason, u64>,
    /// Other requests that the server refused, by reason.
    #[serde(default)]
    pub refused_requests: BTreeMap<Reason, u64>,
}

impl Counts {
    /// Adds what another process or phase counted.
    pub fn add(&mut self, other: &Self) {
        self.numbers.add_numbers(&other.numbers);
        for (reason, count) in &other.refused {
            *self.refused.entry(*reason).or_default() += count;
        }
        for (reason, count) in &other.refused_requests {
            *self.refused_requests.entry(*reason).or_default() += count;
        }
    }

    /// Messages that the server refused.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }
}
