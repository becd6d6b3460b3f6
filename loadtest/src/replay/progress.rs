//! Says on standard error how far a run is: one line that changes on a terminal, else one every five seconds.

use std::io::{IsTerminal as _, Write as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::report::Tally;
use crate::client::Totals;

const TERMINAL_EVERY: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub(crate) async fn show(tally: Rc<Tally>, totals: Rc<Totals>, planned: usize) {
    let terminal = std::io::stderr().is_terminal();
    let every = if terminal { TERMINAL_EVERY } else { LOG_EVERY };
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    let mut before = (Instant::now(), 0);
    loop {
        ticks.tick().await;
        let (now, messages) = (Instant::now(), tally.messages.get());
        let rate = (messages - before.1) as f64 / (now - before.0).as_secs_f64();
        before = (now, messages);
        let ack = tally.ack.borrow();
        let line = format!(
            "{}/{planned} conversations  {messages} messages  {rate:.0}/s  {} reconnects  {} differences  ack p50 {:.1} p99 {:.1} ms",
            tally.conversations.get(),
            totals.reconnects.get(),
            tally.differences_count(),
            ack.at_ms(0.5),
            ack.at_ms(0.99),
        );
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to be told of a failure here.
        let _ =
            if terminal { write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush()) } else { writeln!(stderr, "{line}") };
    }
}

/// Leaves the changing line behind.
pub(crate) fn finish() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}
