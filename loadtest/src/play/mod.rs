//! The generator: one thread that plays thousands of users over non-blocking sockets.
//!
//! There is no task for a user, only a small entry in a table: a socket, what the adapter remembers, a few numbers. One loop
//! waits for sockets and for the next intended time, whichever comes first, and intended times are never moved by what
//! the server does. Reading order: [`link`] what a worker is told and tells; `generator` the loop; `users` connections; `told` what adapters
//! understood; `talk` messages, `visits` dialogues; `desk` agents; `ledger` and `recorder` what is found out.

mod desk;
mod generator;
mod ledger;
pub(crate) mod link;
mod phases;
pub(crate) use phases::share;
mod recorder;
mod talk;
mod texts;
mod told;
mod users;
mod visits;
pub(crate) mod worker;

use std::sync::mpsc::{Receiver, Sender};

use generator::Generator;
use link::{Order, Plan, Report};

use crate::target::{echo, ejabberd, jono, nats, socketio};

/// Plays the plan on the target that it names.
pub(crate) fn play_target(plan: Plan, orders: Receiver<Order>, reports: Sender<Report>) -> Result<(), Failure> {
    match plan.target.name.as_str() {
        "jono" => Generator::new(jono::Jono::new(&plan.target), plan, orders, reports)?.run(),
        "echo" => Generator::new(echo::Echo::new(&plan.target), plan, orders, reports)?.run(),
        "socketio" => Generator::new(socketio::SocketIo::new(&plan.target), plan, orders, reports)?.run(),
        "nats" => Generator::new(nats::Nats::new(&plan.target), plan, orders, reports)?.run(),
        "ejabberd" => Generator::new(ejabberd::Ejabberd::new(&plan.target), plan, orders, reports)?.run(),
        other => Err(Failure::other(format!("there is no target {other:?}"))),
    }
}

/// Why a run could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The target could not be reached, or let nobody in.
    pub unreachable: bool,
    pub why: String,
}

impl Failure {
    fn other(why: impl Into<String>) -> Self {
        Self { unreachable: false, why: why.into() }
    }

    fn unreachable(why: impl Into<String>) -> Self {
        Self { unreachable: true, why: why.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::other(error.to_string())
    }
}
