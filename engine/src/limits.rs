//! Limits of the engine, each with its reason.

/// Requests from outside that may wait for one arbiter. More is answered `busy`: at 50 000 requests a second this
/// is a third of a second, and nobody is served better by a longer line.
pub const INBOX_MAX: usize = 16 * 1024;
/// Requests from outside that may wait for one entity: a hot conversation must not hold up the others.
pub const ENTITY_INBOX_MAX: u32 = 1024;
/// Requests that may wait while an entity is loaded.
pub const LOADING_MAX: usize = ENTITY_INBOX_MAX as usize;
/// Letters that an arbiter takes in one go, before others have their turn.
pub const LETTERS_PER_TURN: usize = 256;
/// Writes in one commit of a shard: on Redis a script of 64 holds the server for 0.1 ms; the embedded
/// store groups the shards' commits itself.
pub const WRITES_PER_COMMIT_MAX: usize = 64;
/// Log records after which a snapshot is written again, so that loading reads at most so many.
pub const EVENTS_PER_SNAPSHOT: u32 = 16;
/// Live entities read in one go at start.
pub const RECOVERY_PAGE: usize = 512;
/// Organisations read in one go at start: a shard has few of them, and what lies behind them is read for nothing.
pub const ORGANISATIONS_PAGE: usize = 4;
/// Shards that an arbiter takes over at a time at start: the embedded store makes one sync of them.
pub const ACQUIRE_AT_ONCE: usize = 256;
/// Conversations that tell their queue how they stand in one letter, having come back together: some 16 KiB on the way to
/// another process.
pub const ROWS_PER_LETTER: usize = 64;
/// Entities that hear in one round what they were told while they were not loaded, and the time between two rounds: some
/// 3 000 a second, less than a tenth of a core.
pub const LATER_PER_ROUND: usize = 64;
/// See [`LATER_PER_ROUND`].
pub const LATER_ROUND_MS: u64 = 20;
/// How long that waits at first: a start has more urgent things to do.
pub const LATER_AFTER_MS: u64 = 2_000;
/// Shards that an arbiter reads at a time at start.
pub const READ_AT_ONCE: usize = 4;
/// An entity that nothing needs is unloaded after this time.
pub const IDLE_MS: u64 = 60_000;
/// An entity that does not exist (a guessed id) is unloaded sooner.
pub const IDLE_UNKNOWN_MS: u64 = 1_000;
/// Notices kept for a session that is catching up; one that falls behind further must follow again.
pub const CATCH_UP_NOTICES_MAX: usize = 1024;
/// What a client is told to wait before it repeats a request that was not served.
pub const RETRY_AFTER_MS: u64 = 500;
/// What it is told when the entity is quarantined.
pub const RETRY_QUARANTINED_MS: u64 = 60_000;
/// Panics of one entity within [`PANIC_WINDOW_MS`] after which it is quarantined.
pub const PANICS_MAX: usize = 3;
/// See [`PANICS_MAX`].
pub const PANIC_WINDOW_MS: u64 = 60 * 60 * 1000;
/// How often old answers are removed, and how many at a time.
pub const FORGET_EVERY_MS: u64 = 10 * 60 * 1000;
/// See [`FORGET_EVERY_MS`].
pub const FORGET_AT_ONCE: usize = 10_000;
/// Conversations whose logs one call of a search reads; the cursor goes on behind them.
pub const SEARCH_READS_MAX: usize = 500;
/// Hits that a search shows of one conversation: whoever wants more opens it.
pub const HITS_PER_CONVERSATION_MAX: usize = 20;
/// Questions that may be under way at a time: each may read hundreds of logs.
pub const QUERIES_MAX: usize = 256;
/// Log records read at once.
pub const LOG_PAGE: usize = 500;
/// Queues that one list call looks at.
pub const LIST_QUEUES_MAX: usize = 1_000;
/// Events in one answer of history, in stored bytes: it must fit a session's outbox.
pub const HISTORY_BYTES_MAX: usize = 32 * 1024;
/// Missing events that a session is sent when it follows without having asked.
pub const UNASKED_BYTES_MAX: usize = 16 * 1024;
/// How long a start waits until what came back has told each other how it stands. Requests are served later too,
/// but might find a queue that has not heard of everybody.
pub const START_PATIENCE_MS: u64 = 5_000;
/// How long a stop waits for what is under way.
pub const STOP_PATIENCE_MS: u64 = 10_000;
/// How long a shard that is given back waits for its commits. One that takes longer is given up: whoever asked is told.
pub const CLOSING_PATIENCE_MS: u64 = 3_000;
/// Rounds of deadlines in one waking. Each moves a deadline, and no machine has half as many.
pub const EXPIRIES_PER_WAKE_MAX: usize = 16;
/// Bytes of snapshots and records in one commit, unless one write alone is larger: a quarter of what a store takes.
pub const BYTES_PER_COMMIT_MAX: usize = jono_store::limits::BATCH_BYTES_MAX / 4;
/// How long an entity whose commit or loading failed waits before it looks into the store again: a store that
/// is away is not helped by being asked in a loop.
pub const RELOAD_PAUSE_MS: u64 = 250;
/// Conversations that one session was led to and that are remembered for its end; older ones have ended.
pub const LED_MAX: usize = 4096;
/// How often an entity is told again what it could not store: a quarter of a minute of a store that refuses.
pub const TALES_AGAIN_MAX: u8 = 60;
