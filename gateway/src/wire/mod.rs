//! What is said on the wire: JSON-RPC 2.0 in text frames, its methods and notifications, and the
//! documents made from them.
//!
//! Knows the domain's words and turns them into JSON for each audience; knows no socket, no session
//! and no credential. [`methods`] is the one table that dispatch and documents share.

pub mod envelope;
pub mod error;
pub mod event;
pub mod id;
pub mod metadata;
pub mod methods;
pub mod notifications;
pub mod params;
pub mod results;
pub mod shown;

mod documents;
pub use documents::{openrpc, protocol_markdown};

#[cfg(test)]
mod tests;
