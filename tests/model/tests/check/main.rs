//! The model, visited state by state: what holds as the protocol is, and what fails when one of its rules is taken away.

mod fails;
mod holds;
mod kit;
