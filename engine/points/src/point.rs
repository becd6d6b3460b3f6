//! The places where a test may end the process, from the first word of a client to the last of a process.

macro_rules! kill_points {
    ($($(#[$doc:meta])+ $point:ident = $name:literal,)+) => {
        /// A place in the code, between two things that a process does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KillPoint {
            $($(#[$doc])+ $point,)+
        }

        impl KillPoint {
            /// All of them, in the order of a request's way.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name, as `JONO_KILL_AT` takes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

kill_points! {
    // ---- a session

    /// A client says who it is; nothing is followed yet.
    SessionOpening = "session-opening",
    /// The answer that opens a session goes out; what came meanwhile is still held back.
    SessionOpened = "session-opened",
    /// A request is understood; the engine has not heard of it.
    RequestDecoded = "request-decoded",
    /// The session has the engine's answer; the client does not.
    AnswerReceived = "answer-received",
    /// The session has heard of an event; the client has not.
    NoticeReceived = "notice-received",
    /// Owners have changed, and the session has followed the first thing again, but not the next.
    FollowedAnew = "followed-anew",

    // ---- a step of an entity

    /// A letter is out of the arbiter's inbox, and not yet at its entity.
    LetterTaken = "letter-taken",
    /// An entity has decided and changed; nothing is handed in.
    StepDecided = "step-decided",
    /// A deadline has come and says what happens; nothing has.
    DeadlineReached = "deadline-reached",
    /// A snapshot goes into the commit with what was logged.
    SnapshotTaken = "snapshot-taken",
    /// The step waits for its shard's next commit.
    StepSubmitted = "step-submitted",

    // ---- a commit

    /// A shard's batch is given to the store.
    CommitBegun = "commit-begun",
    /// The store has judged or prepared it, and writes next.
    CommitStaged = "commit-staged",
    /// It is stored; nobody knows.
    CommitApplied = "commit-applied",
    /// Of several commits that were stored together the first is answered, the others are not.
    CommitAnswered = "commit-answered",
    /// The engine knows that it is stored; nothing has left.
    CommitConfirmed = "commit-confirmed",

    // ---- what leaves after it

    /// A request that takes several entities is to be sent on next: the first of them has stored its part.
    ForwardDue = "forward-due",
    /// It is sent on; the rest of the step has not left.
    RequestForwarded = "request-forwarded",
    /// One entity has told another; the rest of the step has not left.
    TaleTold = "tale-told",
    /// Answers and events are ready for the sessions.
    DeliveriesReady = "deliveries-ready",
    /// They are handed over; the sockets have not written them.
    DeliveriesHandedOver = "deliveries-handed-over",
    /// What a new follower has missed is read; it is not sent.
    MissingRead = "missing-read",

    // ---- beginning and end of a process

    /// The tables of a new directory are complete, and do not have their name yet.
    TablesCreated = "tables-created",
    /// A shard has a new epoch; nothing of it is read.
    ShardAcquired = "shard-acquired",
    /// An entity is back from the store; the next one is not.
    EntityRecovered = "entity-recovered",
    /// Everything that was asked is answered and stored; the store is not closed.
    EngineSettled = "engine-settled",
    /// Everything is synced; the directory does not say yet that it was closed in order.
    StoreSynced = "store-synced",

    // ---- among other processes

    /// A member, which has not beaten once.
    MemberJoined = "member-joined",
    /// The live entities of a shard are back; the process does not count it as its own yet.
    ShardAdopted = "shard-adopted",
    /// The process serves the shard, and nobody else knows.
    ShardOwned = "shard-owned",
    /// The other processes are told of new owners; the picture is not changed.
    OwnersTold = "owners-told",
    /// What shards that are given back had decided is committed; they are still held.
    ShardsSettled = "shards-settled",
    /// They are left, and nobody else knows.
    ShardsLeft = "shards-left",
    /// Everything is given back, sent and answered; the process is still a member.
    LastWordsSaid = "last-words-said",
    /// An entity says what is told only once; it is neither kept nor sent.
    TellingOnce = "telling-once",
    /// What is told only once is kept to be told again, and not sent.
    ToldKept = "told-kept",
    /// It was told again to one new owner; the rest was not.
    ToldAgain = "told-again",
    /// A request without an answer is sent again.
    AskedAgain = "asked-again",
    /// An entity tells anew, after owners have changed, what others should know of it; the next one has not.
    EntityAnnounced = "entity-announced",
    /// A parcel for another process is packed.
    ParcelPacked = "parcel-packed",
    /// It is in the other's box.
    ParcelSent = "parcel-sent",
    /// A parcel is out of the own box; nothing in it is looked at.
    ParcelReceived = "parcel-received",
    /// One thing of a parcel is done; the next is not.
    ItemTaken = "item-taken",
}

impl KillPoint {
    /// The one of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

impl std::fmt::Display for KillPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_as_its_variant() {
        for point in KillPoint::ALL {
            let variant = format!("{point:?}");
            let words = variant.chars().map(|c| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() });
            assert_eq!(format!("-{point}"), words.collect::<String>());
            assert_eq!(KillPoint::parse(point.name()), Some(*point));
        }
        assert_eq!(KillPoint::parse("StepDecided"), None);
    }
}
