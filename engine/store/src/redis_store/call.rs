//! What is sent: a command, and what must be known of it.

use redis::Cmd;

use super::script::Script;

/// A command and how it is to be sent.
pub(super) struct Call {
    pub(super) command: Cmd,
    /// The script that it runs, should Redis have forgotten it.
    pub(super) script: Option<&'static Script>,
    pub(super) kind: Kind,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes nothing.
    Read,
    /// It need not last.
    Write,
    /// It must be as durable as the level says before it is answered.
    Commit,
}

impl Call {
    pub(super) fn read(script: &'static Script, command: Cmd) -> Self {
        Self { command, script: Some(script), kind: Kind::Read }
    }

    pub(super) fn write(script: &'static Script, command: Cmd) -> Self {
        Self { command, script: Some(script), kind: Kind::Write }
    }

    pub(super) fn commit(script: &'static Script, command: Cmd) -> Self {
        Self { command, script: Some(script), kind: Kind::Commit }
    }
}
