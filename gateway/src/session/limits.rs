//! Owns every limit of sessions, and the bucket that rates are kept with.

use jono_domain::time::Time;

use crate::wire::methods::Rate;

/// Conversations that one agent's session may follow: those held (at most 200) and those looked at.
pub(super) const FOLLOWED_PER_AGENT_MAX: usize = 512;
/// Conversations that one customer's session may follow: four open and eight ended can be reached.
pub(super) const FOLLOWED_PER_CUSTOMER_MAX: usize = 16;
/// Queues that one session may be subscribed to.
pub(super) const SUBSCRIBED_MAX: usize = 1_000;
/// Conversations in `since`.
pub(super) const SINCE_MAX: usize = 256;
/// Bytes of what a page tells at `session.open`: what a conversation's metadata may be.
pub(super) const PAGE_BYTES_MAX: usize = jono_domain::limits::METADATA_BYTES_MAX;
/// Bytes of a cursor that a client gives back.
pub(super) const CURSOR_BYTES_MAX: usize = 1_024;
/// Bytes of what is searched for.
pub(super) const SEARCH_BYTES_MAX: usize = 1_024;

/// Queues whose numbers a customer's `session.open` asks for: a crowd that comes back at once must not
/// ask for a thousand each. The rest are read with `queue.list`.
pub(super) const QUEUES_AT_OPEN_CUSTOMER_MAX: usize = 50;
/// The same for agents.
pub(super) const QUEUES_AT_OPEN_AGENT_MAX: usize = 200;
/// Queues in a page of `queue.list`.
pub(super) const QUEUES_PER_PAGE: usize = 200;
/// Conversations that `session.open` waits for at a time.
pub(super) const OPENING_AT_ONCE: usize = 8;
/// Bytes of conversations in `session.open`'s result, which must fit an outbox (256 KiB) with the lists
/// below; the rest are told one by one, as the peer reads.
pub(super) const OPENED_CONVERSATIONS_BYTES: usize = 64 * 1024;
/// Bytes of those that were asked for already when that was reached.
pub(super) const OPENED_CONVERSATIONS_BYTES_MAX: usize = 80 * 1024;
/// Bytes of each other list in that result.
pub(super) const OPENED_LIST_BYTES: usize = 32 * 1024;
/// Bytes of missing events that the engine sends when a conversation is followed, without being asked for
/// more: most conversations as a whole. Longer ones are read from the log, as the peer reads.
pub(super) const FOLLOW_BYTES: usize = 16 * 1024;
/// Deliveries that wait for `session.open`'s result; events over it are read from the log afterwards.
pub(super) const HELD_BACK_MAX: usize = 256;
/// Bytes of them.
pub(super) const HELD_BACK_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a page of history, and of any list that is cut by bytes.
pub(super) const PAGE_BYTES: usize = 128 * 1024;
/// Rows in a page of `conversation.list`: fits half an outbox when each is as large as it can be.
pub(super) const ROWS_PER_PAGE: usize = 50;
/// Hits in a page of `conversation.search`, for the same reason.
pub(super) const HITS_PER_PAGE: usize = 20;
/// Events in a page of history when the client does not say.
pub(super) const HISTORY_DEFAULT: usize = 100;

/// More than this waits for the peer: events are not queued any more, but read from the log when the
/// peer has caught up. Half an outbox: one largest event (16 KiB, escaped at most six times as long)
/// still fits.
pub(super) const BEHIND_OVER_BYTES: usize = 128 * 1024;
/// Less than this waits: the log can be read on.
pub(super) const CAUGHT_UP_BELOW_BYTES: usize = 32 * 1024;
/// Events read from the log at a time for a peer that was behind.
pub(super) const CATCH_UP_EVENTS: usize = 64;
/// Bytes of an answer that could close the socket when a lot waits already; such a read is refused with
/// `busy` instead.
pub(super) const LARGE_ANSWER_BYTES: usize = 8 * 1024;
/// Bytes that may wait with a large answer.
pub(super) const ANSWERS_WAITING_BYTES: usize = 224 * 1024;
/// Bytes of answers that wait in batches, all together. An answer over it becomes a refusal, of its id and
/// some 150 bytes.
pub(super) const BATCH_ANSWER_BYTES: usize = 192 * 1024;
/// The part of it that large answers may fill: what writes are answered with is small, and finds room.
pub(super) const BATCH_LARGE_ANSWER_BYTES: usize = 160 * 1024;

/// Addresses whose starts are remembered: half a megabyte or so.
pub(super) const ADDRESSES_MAX: usize = 8 * 1024;

/// How often, and how often at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// How often one session may call methods, by [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Beginning conversations.
    pub start: Allowance,
    /// What is stored.
    pub write: Allowance,
    /// What reads much.
    pub read: Allowance,
    /// Typing and reading marks.
    pub signal: Allowance,
}

/// What one process grants sessions. Start from `SessionLimits::default()` and change fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Of a customer's session: a person in a widget, and some room.
    pub customer: Rates,
    /// Of an agent's session: a bot may serve hundreds at a time.
    pub agent: Rates,
    /// Conversations that customers of one address (IPv6: of one /64) begin, in all their sessions together.
    pub starts_per_address: Allowance,
    /// Frees 127.0.0.0/8 and ::1 of that, as the socket layer frees them of its limits by address.
    pub loopback_exempt: bool,
    /// Sessions of one customer in this process; the oldest is closed with 4002 for one more.
    pub sessions_per_customer: usize,
    /// Sessions of one agent in this process; the oldest is closed with 4002 for one more.
    pub sessions_per_agent: usize,
    /// Requests of one session that may wait for an answer; one more is `busy`.
    pub requests: usize,
    /// Bytes of a text frame, as the socket layer has it; told to clients.
    pub frame_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        let allow = |per_minute, burst| Allowance { per_minute, burst };
        Self {
            customer: Rates { start: allow(10, 10), write: allow(300, 30), read: allow(300, 60), signal: allow(600, 60) },
            agent: Rates { start: allow(10, 10), write: allow(12_000, 600), read: allow(3_000, 300), signal: allow(12_000, 600) },
            starts_per_address: allow(60, 30),
            loopback_exempt: true,
            sessions_per_customer: 16,
            sessions_per_agent: 32,
            requests: 64,
            frame_bytes: 64 * 1024,
        }
    }
}

/// When each rate is used up, as one moment each (GCRA: the moment at which the bucket would be full
/// again). 32 bytes a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    full_at: [Time; 4],
}

impl Buckets {
    /// Takes one.
    ///
    /// # Errors
    /// When to come back, in milliseconds.
    pub(super) fn take(&mut self, rate: Rate, rates: &Rates, now: Time) -> Result<(), u64> {
        let (slot, allowance) = match rate {
            Rate::Free => return Ok(()),
            Rate::Start => (0, rates.start),
            Rate::Write => (1, rates.write),
            Rate::Read => (2, rates.read),
            Rate::Signal => (3, rates.signal),
        };
        self.full_at[slot] = allowance.full_after(self.full_at[slot], now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let rates = SessionLimits::default().customer;
        let mut buckets = Buckets::default();
        let mut now = Time(1_000_000);
        for _ in 0..rates.start.burst {
            assert_eq!(buckets.take(Rate::Start, &rates, now), Ok(()));
        }
        let wait_ms = buckets.take(Rate::Start, &rates, now).unwrap_err();
        assert_eq!(wait_ms, 6_000);
        assert_eq!(buckets.take(Rate::Write, &rates, now), Ok(()), "rates do not disturb each other");
        now = now + wait_ms;
        assert_eq!(buckets.take(Rate::Start, &rates, now), Ok(()));
        assert!(buckets.take(Rate::Start, &rates, now).is_err());
        let an_hour_back = now - 3_600_000;
        assert!(buckets.take(Rate::Start, &rates, an_hour_back).unwrap_err() <= 6_000);
    }

    #[test]
    fn the_reference_tells_these_limits() {
        let grouped = |number: u32| match number {
            0..1_000 => number.to_string(),
            _ => format!("{} {:03}", number / 1_000, number % 1_000),
        };
        let told = |it: Allowance| format!("{} a minute, {} at once", grouped(it.per_minute), grouped(it.burst));
        let limits = SessionLimits::default();
        let (customer, agent) = (limits.customer, limits.agent);
        let text = crate::wire::protocol_markdown();
        for line in [
            format!("| {} | |", told(customer.start)),
            format!("of one address (IPv6: of one /64) begin {}", told(limits.starts_per_address)),
            format!("| {} | {} |", told(customer.write), told(agent.write)),
            format!("| {} | {} |", told(customer.read), told(agent.read)),
            format!("| {} | {} |", told(customer.signal), told(agent.signal)),
            format!("may have {} requests waiting", limits.requests),
            format!("({} of a customer, {} of an agent)", limits.sessions_per_customer, limits.sessions_per_agent),
            format!("at most the last {} events", jono_domain::limits::PAGE_EVENTS_MAX).replace("at most", "At most"),
            format!("at most {SINCE_MAX}.").replace("at most", "At most"),
        ] {
            assert!(text.contains(&line), "{line}");
        }
    }
}
