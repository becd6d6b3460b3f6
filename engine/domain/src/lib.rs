//! The rules of Jono, and nothing else.
//!
//! Each of [`conversation`], [`queue`], [`agent`], [`customer`] and [`organisation`] is a deterministic
//! state machine with one vocabulary ([`Machine`]): `decide` reads, `evolve` writes, `react` instructs.
//! Time is an argument, randomness comes in as ids. This crate depends on `serde` alone: no clock, no
//! I/O, no actors, no log lines; a test holds it to that.
//!
//! Reading order: the words ([`time`], [`id`], [`account`], [`limits`], [`text`]), what passes between machines
//! and to sessions ([`machine`], [`message`], [`notice`], [`reply`]), then the machines.

pub mod account;
pub mod id;
pub mod limits;
pub mod text;
pub mod time;

pub mod machine;
pub mod message;
pub mod notice;
pub mod reply;

pub mod agent;
pub mod conversation;
pub mod customer;
pub mod log;
pub mod organisation;
pub mod queue;

pub use machine::{Context, Machine, Weight};

#[cfg(test)]
mod testing;
