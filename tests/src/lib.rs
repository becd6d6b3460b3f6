//! Everything that crosses crates: the real binary, real sockets, restarts.
