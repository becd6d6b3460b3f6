//! Every limit of the domain, with its reason. Sizes in bytes of UTF-8 unless the name says otherwise.

use crate::time::{DAY_MS, SECOND_MS};

/// Longest message, note and canned text (SPEC section 4).
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest name of anything: fits a list row.
pub const NAME_BYTES_MAX: usize = 200;
/// Longest tag, canned keyword, metadata key and site key.
pub const WORD_BYTES_MAX: usize = 64;
/// Metadata entries of one conversation: a snapshot stays small enough to be written often.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// All metadata of one conversation together.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Tags on one conversation.
pub const TAGS_MAX: usize = 32;
/// Readers whose mark is kept per conversation; the one longest behind makes room.
pub const READERS_MAX: usize = 64;
/// Conversations that one customer may have open at a time.
pub const OPEN_PER_CUSTOMER_MAX: usize = 4;
/// Ended conversations that a customer can still reach (to rate them, to read them again).
pub const ENDED_PER_CUSTOMER_MAX: usize = 8;
/// Conversations that one agent may hold at a time.
pub const HELD_PER_AGENT_MAX: usize = 200;
/// Personal canned messages of one agent, and shared ones of an organisation.
pub const CANNED_MAX: usize = 500;
/// All canned texts of one agent, or all shared ones, together: they are stored with every change of their owner.
pub const CANNED_BYTES_MAX: usize = 128 * 1024;
/// Queues of one organisation.
pub const QUEUES_MAX: usize = 1_000;
/// Agent accounts of one organisation.
pub const AGENTS_MAX: usize = 10_000;
/// Sites of one organisation.
pub const SITES_MAX: usize = 100;
/// Origins that one site allows.
pub const ORIGINS_MAX: usize = 100;
/// Tags that an organisation defines.
pub const TAG_DEFINITIONS_MAX: usize = 1_000;
/// Credentials of one agent.
pub const TOKENS_PER_AGENT_MAX: usize = 16;
/// Characters of a message shown in a list row.
pub const PREVIEW_CHARS: usize = 80;
/// Lowest and highest priority; a conversation starts with 0 and a higher number is served first.
pub const PRIORITY_MAX: i8 = 9;
/// See [`PRIORITY_MAX`].
pub const PRIORITY_MIN: i8 = -9;
/// How long a request's key is remembered (guarantee G2).
pub const KEY_KEPT_MS: u64 = DAY_MS;
/// Longest `key` of a request.
pub const KEY_CHARS_MAX: usize = 64;
/// A visitor's position is pushed at most this often.
pub const POSITION_PUSH_MS: u64 = 2 * SECOND_MS;
/// A visitor further back than [`POSITION_NEAR`] hears of a new position at most this often: one
/// pick moves everybody, and 100 000 pushes every two seconds would tell nobody anything.
pub const POSITION_PUSH_FAR_MS: u64 = 10 * SECOND_MS;
/// Positions that are looked at in one go; the next ones follow [`PLACES_ROUND_MS`] later, so that a queue in which
/// very many wait holds nobody up.
pub const PLACES_PER_ROUND: usize = 500;
/// See [`PLACES_PER_ROUND`].
pub const PLACES_ROUND_MS: u64 = 20;
/// Positions up to this one are pushed every [`POSITION_PUSH_MS`].
pub const POSITION_NEAR: u32 = 100;
/// Rows in one push; more of them follow in the next. A session's outbox holds a few pushes.
pub const ROWS_PER_PUSH: usize = 100;
/// Rows in one notice: encoded and sent together, once for all agents who look. Even the largest rows
/// fit an outbox.
pub const ROWS_PER_NOTICE: usize = 25;
/// An agent's list is pushed at most this often.
pub const ROWS_PUSH_MS: u64 = 100;
/// A conversation that was admitted to a queue must announce itself within this time.
pub const ADMISSION_MS: u64 = 5 * SECOND_MS;
/// Conversations that left a queue and are remembered there, so that a late announcement does not bring them back.
pub const GONE_KEPT: usize = 1_024;
/// Takes from which the wait is estimated.
pub const TAKES_KEPT: usize = 20;
/// Takes older than this say nothing about the wait now.
pub const TAKE_AGE_MAX_MS: u64 = 30 * 60 * SECOND_MS;
/// Rows in one page of a list.
pub const PAGE_ROWS_MAX: usize = 100;
/// Events in one page of history, and in what is sent when a session begins to follow.
pub const PAGE_EVENTS_MAX: usize = 500;
/// Typing counts as activity, but is not worth a write each time: it is rounded *up* to the next
/// thirtieth of the window (10 s of the 5 minutes), so a deadline may come that much later, never early.
pub const TYPING_GRAINS: u64 = 30;
