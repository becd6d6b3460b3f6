//! jono-domain
