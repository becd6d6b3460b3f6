//! Rules that a test may switch off, to see that it would notice.

/// A rule of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was answered to a request with a key is looked up before it is decided again (guarantee G2).
    AnswersAreRemembered,
    /// The store in memory compares epochs, and refuses who owned a shard before (guarantee G5).
    FencedWritesFail,
}

impl Rule {
    /// All of them.
    pub const ALL: &[Self] = &[Self::AnswersAreRemembered, Self::FencedWritesFail];

    /// Its name, as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswersAreRemembered => "answers-are-remembered",
            Self::FencedWritesFail => "fenced-writes-fail",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
