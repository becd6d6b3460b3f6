//! What the HTTP side sees of this process: the engine, and what the connection to Redis counts.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use jono_domain::account::Who;
use jono_domain::message::Order;
use jono_engine::Engine;
use jono_engine::directory::Directory;
use jono_engine::request::Answer;
use jono_store::RedisStore;

use crate::http::{Admin, Reading};

/// Behind the admin API and `/metrics`.
pub(super) struct Served {
    pub(super) engine: Engine,
    pub(super) redis: Option<Arc<RedisStore>>,
}

impl Admin for Served {
    fn directory(&self) -> Arc<Directory> {
        Admin::directory(&self.engine)
    }

    fn ask(&self, who: Who, key: Option<String>, order: Order) -> LocalBoxFuture<'_, Answer> {
        Admin::ask(&self.engine, who, key, order)
    }

    fn is_serving(&self) -> bool {
        Admin::is_serving(&self.engine)
    }

    fn readings(&self) -> Vec<Reading> {
        let mut readings = Admin::readings(&self.engine);
        if let Some(redis) = &self.redis {
            let stats = redis.stats();
            let total = |name: &str, about, value| Reading { name: format!("redis_{name}"), about, grows: true, value };
            readings.extend([
                total("commands", "Commands sent to Redis, a script as one", stats.commands),
                total("sent_bytes", "Bytes of these commands", stats.bytes_sent),
                total("commits", "Batches confirmed by Redis", stats.commits),
                total("retries", "Commands sent to Redis again, elsewhere or with their script", stats.retries),
                total("connections", "Connections made to Redis", stats.connections),
                total("connections_lost", "Connections to Redis given up", stats.connections_lost),
                total("unknown_outcomes", "Calls that Redis may or may not have applied", stats.unknown),
            ]);
        }
        readings
    }
}
