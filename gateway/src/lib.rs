//! jono-gateway
