//! A generator as a process of its own: a plan and orders on standard input, reports on standard output.

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;

use super::link::{Order, Plan, Report};
use super::{Failure, play_target};

/// Plays the plan that comes in.
pub(crate) fn run() -> ExitCode {
    crate::measure::process::raise_descriptors();
    let (reports, received) = mpsc::channel();
    // Writing takes place elsewhere, so that a leader who reads slowly does not stop the generator.
    let writer = std::thread::spawn(move || write(&received));
    let failed = match prepare() {
        Ok((plan, orders)) => play_target(plan, orders, reports.clone()).err(),
        Err(why) => Some(Failure::other(why)),
    };
    if let Some(Failure { unreachable, why }) = failed {
        // If the writer is gone, nobody listens.
        let _ = reports.send(Report::Failed { unreachable, why });
    }
    drop(reports);
    match writer.join() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

fn prepare() -> Result<(Plan, mpsc::Receiver<Order>), String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    let plan = serde_json::from_str(&line).map_err(|error| format!("no plan: {error}"))?;
    let (sender, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let order = serde_json::from_str(&line);
            if order.map_or(true, |order| sender.send(order).is_err()) {
                return;
            }
        }
        // The leader is gone.
        let _ = sender.send(Order::Stop);
    });
    Ok((plan, orders))
}

fn write(reports: &mpsc::Receiver<Report>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for report in reports {
        serde_json::to_writer(&mut out, &report)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}
