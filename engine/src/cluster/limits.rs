//! Limits and times of the cluster, each with its reason.

/// How often a process beats. A shorter time finds the dead sooner and costs Redis more: 4 small scripts a second and process.
pub const BEAT_EVERY_MS: u64 = 250;
/// After so long without a confirmed beat a process serves nothing: counted from the moment the last confirmed beat was *sent*.
pub const STOP_AFTER_MS: u64 = 2_000;
/// After so long without a beat a member is taken for dead: a second later than it has stopped itself, for clocks that run
/// differently and for answers that were long on their way. With a beat before and a look after it, shards are taken over some
/// 3.5 s after a kill (guarantee G13: 5 s).
pub const DEAD_AFTER_MS: u64 = 3_000;
/// Time between two looks counts as silence only up to this: a process that was paused itself has seen nothing.
pub const LOOK_COUNTS_MS: u64 = 2 * BEAT_EVERY_MS;
/// Shards that a process acquires at a time.
pub const ACQUIRE_AT_ONCE: usize = 16;
/// Requests of this process's sessions that may be under way.
pub const ASKED_MAX: usize = 64 * 1024;
/// A request that was not answered is sent again after so long: what carried it may have died on the way.
pub const ASK_AGAIN_AFTER_MS: u64 = 2_000;
/// A request that was answered `unavailable` is sent again after so long, since its owner is about to change.
pub const UNAVAILABLE_AGAIN_AFTER_MS: u64 = 250;
/// After so long a request is answered `unavailable`: longer than a takeover takes.
pub const ASK_GIVEN_UP_AFTER_MS: u64 = 8_000;
/// How often unanswered requests are looked through.
pub const ASKED_LOOK_EVERY_MS: u64 = 50;
/// And how often while there are none: less than the shortest time after which one is sent again.
pub const IDLE_LOOK_EVERY_MS: u64 = 200;
/// What one entity tells another, once, is kept so long, to be told again when the other's owner changes.
pub const TOLD_KEPT_MS: u64 = 15_000;
/// See [`TOLD_KEPT_MS`]; the oldest go first.
pub const TOLD_KEPT_MAX: usize = 16 * 1024;
/// Bytes of one parcel: what is ready to be sent is packed up to this.
pub const PARCEL_BYTES_MAX: usize = 256 * 1024;
/// Bytes that may wait for one process. A process that does not read for so long has missed something: it is told so.
pub const LINK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A way on which nothing was sent for so long is ended by an empty parcel, for the receiver to notice what was lost before.
pub const LINK_STILL_AFTER_MS: u64 = 1_000;
/// And again after so long, for as long as it is still: that one may have been lost, too.
pub const LINK_STILL_AGAIN_AFTER_MS: u64 = 10_000;
/// How long a parcel that could not be sent waits before it is sent again.
pub const SEND_AGAIN_AFTER_MS: u64 = 100;
/// How long one look into the own box waits for something to come.
pub const RECEIVE_PATIENCE_MS: u64 = 1_000;
/// How long a start waits until every shard has an owner.
pub const OWNED_PATIENCE_MS: u64 = 15_000;
/// How long a leaving process waits until others have its shards.
pub const LEAVE_PATIENCE_MS: u64 = 8_000;
/// After so many beats of its own a new member reads the settings once more: by then all others have seen it, and tell it of
/// changes; before, they may have told those who were there.
pub const SETTLED_AFTER_BEATS: u32 = 4;
/// How long the last words of a leaving process may take.
pub const LAST_WORDS_PATIENCE_MS: u64 = 1_000;
/// When owners have stayed the same for so long, and no parcels were lost, all entities tell what others should know of them once
/// more: what old owners sent last may have come later than what new ones sent first.
pub const CALM_AFTER_MS: u64 = 2_000;
/// Listeners of one process that sessions come through.
pub const GATEWAYS_MAX: u64 = 255;
/// How often owners are published, and settings read, before it is given up: the picture, and whoever changes them next, make it good.
pub const TRIES_MAX: usize = 20;
