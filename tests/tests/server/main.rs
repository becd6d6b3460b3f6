//! The server as its clients meet it: the real binary, real sockets, and everything that may go wrong on the way.

mod admin;
mod bad_input;
mod bodies;
mod documents;
mod keys;
mod kills;
mod life;
mod limits;
mod lists;
mod people;
mod permissions;
mod resume;
mod reused_ids;
mod shutdown;
mod timers;
mod welcome;
