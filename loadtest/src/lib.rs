//! Loads a running Jono through its sockets, as its users would, and judges what they were shown.
//!
//! Knows the wire protocol and nothing of the engine: whatever it finds out, a foreign client could
//! have found out. Reading order: what is played ([`corpus`]), by whom ([`client`]), and the commands,
//! of which there is one: [`replay`].

pub mod cli;
pub mod client;
pub mod corpus;
mod dice;
pub mod replay;
