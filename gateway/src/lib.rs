//! The gateway: sockets, HTTP, the wire protocol and authentication around the engine. No rules of
//! the domain are in here.
//!
//! Reading order: [`config`] and [`server`] (how a process is put together), [`auth`] (who asks),
//! [`wire`] (what is said), [`session`] (one socket's conversation with the engine), [`http`] (the admin
//! API and what operators look at), [`operator`] (what they ask on the command line), [`demo`].

pub mod auth;
pub mod config;
pub mod demo;
pub mod http;
pub mod operator;
pub mod server;
pub mod session;
pub mod wire;
