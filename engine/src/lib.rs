//! jono-engine
