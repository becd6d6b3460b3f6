//! jono-loadtest
