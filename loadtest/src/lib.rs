//! Loads a running Jono through its sockets, as its users would, and judges what they were shown.
//!
//! Knows the wire protocol and nothing of the engine: whatever it finds out, a foreign client could
//! have found out.
//!
//! There are two ways to load. [`replay`] plays recorded conversations ([`corpus`]) through a [`client`] that never gives up, and compares every
//! view with what was said. `run` plays a [`scenario`] with thousands of virtual users on one thread and measures: `play` is that
//! generator, over `socket` and an adapter of [`target`], at the times of `schedule`; `run` leads it, [`measure`] holds times and counts,
//! [`report`] the result. `trials` are several runs, and the [`self_test`] asks whether the figures are right.

pub mod cli;
pub mod client;
mod clock;
pub mod corpus;
mod dice;
pub mod measure;
mod play;
pub mod replay;
pub mod report;
mod run;
pub mod scenario;
mod schedule;
pub mod self_test;
mod socket;
pub mod target;
mod trials;
