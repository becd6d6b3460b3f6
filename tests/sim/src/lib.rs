//! A simulation of the whole system in one thread: several processes with their engines and gateways, clients, and the Redis that
//! they share, in virtual time, with everything going wrong that a seed says. What runs in it is the code that is shipped; what is
//! simulated is the world around it.
//!
//! Reading order: [`timeline`] and [`clock`] (time), [`redis`] and [`store`] (the server, and a process's ways to it), [`mail`]
//! (clients' connections), [`process`], [`client`], [`oracle`] and [`story`] (what may be seen), [`plan`] (what goes wrong),
//! [`world`] (all of it), `setup`, `audit`, [`run`].

pub mod client;
pub mod clock;
pub mod mail;
pub mod oracle;
pub mod plan;
pub mod process;
pub mod redis;
pub mod run;
pub mod store;
pub mod story;
pub mod timeline;
pub mod world;

mod audit;
mod setup;
