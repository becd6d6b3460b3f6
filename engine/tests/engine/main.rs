//! The engine as a whole, in one process: real actors and arbiters over a store in memory whose faults are planned, under a
//! clock that moves when it is told to.

mod kit;
mod moody;

mod answers;
mod cluster;
mod codec;
mod commits;
mod failures;
mod following;
mod life;
mod limits;
mod panics;
mod queries;
mod races;
mod recovery;
mod sleeping;
mod tenants;
mod timers;
mod unloading;
