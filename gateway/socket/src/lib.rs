//! jono-socket
