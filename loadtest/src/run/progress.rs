//! Says how far a run is: one line that is refreshed on a terminal, else a plain one every five seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    quiet: bool,
    said_at: Option<Instant>,
    open_line: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), quiet, said_at: None, open_line: false }
    }

    /// Replaces the line before.
    pub fn show(&mut self, line: &str) {
        if self.quiet {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to be told of a failure here.
        if self.terminal {
            let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
            self.open_line = true;
        } else if self.said_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.said_at = Some(Instant::now());
            let _ = writeln!(stderr, "{line}");
        }
    }

    /// A line that stays.
    pub fn say(&mut self, line: &str) {
        if self.quiet {
            return;
        }
        self.close();
        eprintln!("{line}");
        self.said_at = None;
    }

    /// Leaves the refreshed line behind.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.open_line) {
            eprintln!();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.close();
    }
}
