//! jono-benches
