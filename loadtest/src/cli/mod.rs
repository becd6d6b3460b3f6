//! The command line of `jono-load`.
//!
//! Exit codes: 0 all is well; 1 a promise was broken or an objective missed; 2 the scenario or the command is wrong; 3 the generator
//! was too slow or the clock moved, so that the figures do not count; 4 the target cannot be reached; 130 it was interrupted.

mod replay;
mod run;
mod self_test;
mod trials;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::play;
use crate::run::Stop;

/// A promise was broken, or an objective missed.
pub const EXIT_FAILED: u8 = 1;
/// The scenario or the command is wrong.
pub const EXIT_USAGE: u8 = 2;
/// The generator was not honest: the figures do not count.
pub const EXIT_INVALID: u8 = 3;
/// The target cannot be reached.
pub const EXIT_UNREACHABLE: u8 = 4;
/// It was asked to end, by Ctrl-C or SIGTERM.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Loads a running Jono, or something like it, through its sockets, and checks what it does.
///
/// Exit codes: 0 all is well; 1 a promise was broken or an objective missed; 2 the scenario or the command is wrong; 3 the
/// generator was not honest, so that the figures do not count; 4 the target cannot be reached; 130 it was interrupted.
#[derive(Debug, Parser)]
#[command(name = "jono-load", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a scenario: measures, checks every message, writes a report.
    Run(Box<run::RunArguments>),
    /// Says what is wrong with a scenario, or what it means with every default filled in.
    Validate(run::ScenarioArguments),
    /// Searches for the highest rate at which a scenario's objectives hold.
    Saturate(Box<trials::SaturateArguments>),
    /// Plays two variants in turn, A, B, A, B, and says what B is to A, with an interval.
    Trials(Box<trials::TrialsArguments>),
    /// Plays the same work on every peer that is installed, and makes one table.
    Peers(Box<trials::PeersArguments>),
    /// Compares two results.
    Compare(trials::CompareArguments),
    /// Measures a server that stands still from time to time, and compares with what must come out by arithmetic.
    SelfTest(self_test::SelfTestArguments),
    /// Lists every key of a scenario.
    Keys,
    /// Plays recorded conversations and compares every client's view with what was sent.
    Replay(Box<replay::ReplayArguments>),
    /// A generator process of `run`.
    #[command(hide = true)]
    Worker,
}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(arguments) => run::validate(&arguments),
        Command::Saturate(arguments) => trials::saturate(&arguments),
        Command::Trials(arguments) => trials::trials(&arguments),
        Command::Peers(arguments) => trials::peers(&arguments),
        Command::Compare(arguments) => trials::compare(&arguments),
        Command::SelfTest(arguments) => self_test::run(&arguments),
        Command::Keys => {
            print!("{}", crate::scenario::reference());
            Ok(0)
        }
        Command::Replay(arguments) => match replay::run(&arguments) {
            Ok(passed) => Ok(if passed { 0 } else { EXIT_FAILED }),
            Err(why) => Err(Stop::usage(why)),
        },
        Command::Worker => return play::worker::run(),
    };
    match done {
        Ok(code) => code.into(),
        Err(stop) => {
            eprintln!("jono-load: {}", stop.why);
            stop.code.into()
        }
    }
}
