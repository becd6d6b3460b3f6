//! Rules that a test may switch off, to see that it would notice.

/// A rule of the engine or the gateway, in the order of the guarantees that rest on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Nothing leaves before the commit that it rests on is confirmed (guarantee G1).
    CommitsAreAwaited,
    /// What was not committed is said to nobody, and forgotten (guarantee G1).
    FailedCommitsAreUndone,
    /// What was answered to a request with a key is looked up before it is decided again (guarantee G2).
    AnswersAreRemembered,
    /// Where a request with a key was sent on to is stored, so that its repeat goes the same way (guarantee G2).
    ForwardsAreRemembered,
    /// Whoever follows is told every event (guarantee G3).
    FollowersAreTold,
    /// A session that is told an event behind a hole reads the log first (guarantee G3).
    HolesAreFilled,
    /// A session that is told an event again does not tell its client again (guarantee G3).
    EventsAreSentOnce,
    /// Sessions follow again what others serve now (guarantee G3).
    SessionsFollowAgain,
    /// After a commit of unknown outcome, what was stored is told, and what was not is asked again (guarantee G3).
    DoubtsAreCleared,
    /// Who misses a parcel asks for everything that was in it (guarantee G3).
    GapsAreNoticed,
    /// A parcel that comes twice is taken once (guarantee G3).
    ParcelsAreTakenOnce,
    /// Everybody reads an event as it was written (guarantee G3).
    EventsStayAsWritten,
    /// A session is resumed only if it is told everything that its client has not seen (guarantee G4).
    ResumedMeansComplete,
    /// The store in memory compares epochs, and refuses who owned a shard before (guarantee G5).
    FencedWritesFail,
    /// What somebody holds cannot be claimed (guarantee G6).
    ClaimsExclude,
    /// Who is out of touch with the others serves nothing (guarantee G6).
    TenureIsAsked,
    /// A deadline is reached when its time is over, and not before (guarantee G7).
    DeadlinesAreKept,
    /// An alarm that has rung is set again for the next deadline (guarantee G7).
    AlarmsAreSetAgain,
    /// A conversation that came back has its alarm set before anything needs it (guarantee G7).
    SleepersHaveAlarms,
    /// The close clock begins anew with each of the customer's messages (guarantee G8).
    MessagesMoveTheClose,
    /// A conversation that ends tells its queue (guarantee G9).
    EndsAreTold,
    /// A queue asks its conversations how they stand when others serve them (guarantee G9).
    QueuesAskAgain,
    /// Entities tell new owners what they should know (guarantee G9).
    NewOwnersAreTold,
    /// What is told once is told again to new owners (guarantee G9).
    TalesAreToldAgain,
    /// A session that is closed leaves the account that it was opened with (guarantee G10).
    ClosedSessionsLeave,
    /// The sessions of a process that is gone follow nothing any more (guarantee G10).
    SessionsDieWithTheirGateway,
    /// Only those of its organisation who may see a conversation find it (guarantee G11).
    StrangersFindNothing,
    /// Who is silent for too long is taken for dead, and replaced (guarantee G13).
    TheSilentAreDead,
    /// What is not answered is asked again (guarantee G13).
    UnansweredIsAskedAgain,
    /// No request panics (guarantee G17).
    NothingPanics,
}

impl Rule {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CommitsAreAwaited,
        Self::FailedCommitsAreUndone,
        Self::AnswersAreRemembered,
        Self::ForwardsAreRemembered,
        Self::FollowersAreTold,
        Self::HolesAreFilled,
        Self::EventsAreSentOnce,
        Self::SessionsFollowAgain,
        Self::DoubtsAreCleared,
        Self::GapsAreNoticed,
        Self::ParcelsAreTakenOnce,
        Self::EventsStayAsWritten,
        Self::ResumedMeansComplete,
        Self::FencedWritesFail,
        Self::ClaimsExclude,
        Self::TenureIsAsked,
        Self::DeadlinesAreKept,
        Self::AlarmsAreSetAgain,
        Self::SleepersHaveAlarms,
        Self::MessagesMoveTheClose,
        Self::EndsAreTold,
        Self::QueuesAskAgain,
        Self::NewOwnersAreTold,
        Self::TalesAreToldAgain,
        Self::ClosedSessionsLeave,
        Self::SessionsDieWithTheirGateway,
        Self::StrangersFindNothing,
        Self::TheSilentAreDead,
        Self::UnansweredIsAskedAgain,
        Self::NothingPanics,
    ];

    /// Its name, as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitsAreAwaited => "commits-are-awaited",
            Self::FailedCommitsAreUndone => "failed-commits-are-undone",
            Self::AnswersAreRemembered => "answers-are-remembered",
            Self::ForwardsAreRemembered => "forwards-are-remembered",
            Self::FollowersAreTold => "followers-are-told",
            Self::HolesAreFilled => "holes-are-filled",
            Self::EventsAreSentOnce => "events-are-sent-once",
            Self::SessionsFollowAgain => "sessions-follow-again",
            Self::DoubtsAreCleared => "doubts-are-cleared",
            Self::GapsAreNoticed => "gaps-are-noticed",
            Self::ParcelsAreTakenOnce => "parcels-are-taken-once",
            Self::EventsStayAsWritten => "events-stay-as-written",
            Self::ResumedMeansComplete => "resumed-means-complete",
            Self::FencedWritesFail => "fenced-writes-fail",
            Self::ClaimsExclude => "claims-exclude",
            Self::TenureIsAsked => "tenure-is-asked",
            Self::DeadlinesAreKept => "deadlines-are-kept",
            Self::AlarmsAreSetAgain => "alarms-are-set-again",
            Self::SleepersHaveAlarms => "sleepers-have-alarms",
            Self::MessagesMoveTheClose => "messages-move-the-close",
            Self::EndsAreTold => "ends-are-told",
            Self::QueuesAskAgain => "queues-ask-again",
            Self::NewOwnersAreTold => "new-owners-are-told",
            Self::TalesAreToldAgain => "tales-are-told-again",
            Self::ClosedSessionsLeave => "closed-sessions-leave",
            Self::SessionsDieWithTheirGateway => "sessions-die-with-their-gateway",
            Self::StrangersFindNothing => "strangers-find-nothing",
            Self::TheSilentAreDead => "the-silent-are-dead",
            Self::UnansweredIsAskedAgain => "unanswered-is-asked-again",
            Self::NothingPanics => "nothing-panics",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
