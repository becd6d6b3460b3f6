//! jono-store
