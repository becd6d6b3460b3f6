//! The simulator.
mod clock;
mod redis;
mod store;
mod timeline;
