//! What is measured: times, counts, and what the machine says of the processes.

mod counts;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod sockets;
mod times;

pub use counts::{Counts, Wrongness};
pub use times::Times;
pub(crate) use times::{Metric, write_log};
