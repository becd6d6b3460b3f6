//! What the HTTP side needs of the engine, so that its tests need no store.

use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use jono_domain::account::Who;
use jono_domain::message::Order;
use jono_engine::Engine;
use jono_engine::directory::Directory;
use jono_engine::request::Answer;

/// Asks for changes and reads settings.
pub trait Admin: Send + Sync + 'static {
    /// The settings of every organisation.
    fn directory(&self) -> Arc<Directory>;

    /// Asks one entity and waits.
    fn ask(&self, who: Who, key: Option<String>, order: Order) -> LocalBoxFuture<'_, Answer>;

    /// Is everything served?
    fn is_serving(&self) -> bool {
        true
    }

    /// What the engine has to report.
    fn readings(&self) -> Vec<Reading> {
        Vec::new()
    }
}

/// One number for `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Without the prefix.
    pub name: String,
    /// What it counts.
    pub about: &'static str,
    /// Only grows; else it is what is now.
    pub grows: bool,
    /// The number.
    pub value: u64,
}

impl Admin for Engine {
    fn directory(&self) -> Arc<Directory> {
        Engine::directory(self)
    }

    fn ask(&self, who: Who, key: Option<String>, order: Order) -> LocalBoxFuture<'_, Answer> {
        Engine::ask(self, who, key, order).boxed_local()
    }

    fn is_serving(&self) -> bool {
        Engine::is_serving(self)
    }

    fn readings(&self) -> Vec<Reading> {
        let counters = self.counters();
        let reading = |(name, about, value)| Reading {
            name: format!("engine_{name}"),
            about,
            // The one number that also falls.
            grows: name != "entities_loaded",
            value,
        };
        counters.read().into_iter().map(reading).collect()
    }
}
