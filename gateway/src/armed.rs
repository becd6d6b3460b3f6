//! `jono-armed`: `jono` as tests run it, which dies at the place that `JONO_KILL_AT` names (see `jono_points`). A program of its
//! own, so that whatever builds it leaves the shipped one alone.

use std::process::ExitCode;

#[path = "main.rs"]
mod shipped;

fn main() -> ExitCode {
    if let Some(aim) = std::env::var_os("JONO_KILL_AT") {
        match aim.to_string_lossy().parse() {
            Ok(aim) => jono_points::arm(aim),
            Err(error) => {
                eprintln!("jono-armed: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    shipped::main()
}
