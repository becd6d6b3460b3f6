//! `jono-load`: see [`jono_loadtest::cli`].

use clap::Parser as _;
use jono_loadtest::cli::{Arguments, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run(Arguments::parse())
}
