//! jono-tests
