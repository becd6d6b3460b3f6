//! The engine as a whole, in one process: real actors and arbiters over a store in memory whose faults are planned, under a
//! clock that moves when it is told to.

mod kit;
mod moody;

mod answers;
mod cluster;
mod codec;
mod commits;
mod failing_disk;
mod failures;
mod following;
mod life;
mod limits;
mod nth_call;
mod panics;
mod queries;
mod races;
mod recovery;
#[cfg(feature = "armed")]
mod rules;
mod sleeping;
mod tenants;
mod timers;
mod unloading;
