//! More than one run: the highest rate that holds, two variants against each other, many targets in one table. Runs of different
//! variants alternate, so that whatever else the machine does falls on all of them alike.

pub(crate) mod alternate;
pub(crate) mod peers;
pub(crate) mod saturate;
mod search;
mod statistics;
