//! The store and the exchange on real Redis servers and clusters, which the tests start, break and kill.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod boxes;
mod configuration;
mod contracts;
mod damage;
mod examination;
mod failover;
mod failures;
mod identity;
mod kit;
mod model;
mod moving;
mod random_damage;
mod repeats;
