//! Where the records of this process are: in memory, in a directory, or in Redis with other processes.

use std::sync::Arc;
use std::time::Duration;

use jono_engine::cluster::ClusterConfig;
use jono_engine::{Engine, EngineConfig};
use jono_store::{ConnectError, FjallStore, MemoryStore, RedisExchange, RedisStore, Store};

use super::{Failure, VERSION};
use crate::config::{Config, Role};

/// How long a start waits for a Redis that is just starting, or in the midst of a failover.
const REDIS_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const REDIS_PAUSE: Duration = Duration::from_millis(500);

/// Opens the store and starts the engine on it.
pub(super) async fn start(config: &Config) -> Result<(Engine, Option<Arc<RedisStore>>), Failure> {
    let engine = EngineConfig { arbiters: config.arbiters, ..EngineConfig::default() };
    let Some(options) = &config.redis else {
        let started = Engine::start(open(config).await?, engine).await;
        return started.map(|engine| (engine, None)).map_err(|error| Failure::running(error.to_string()));
    };
    let (store, exchange) = connect(options).await?;
    let store = Arc::new(store);
    let cluster = ClusterConfig {
        exchange: Arc::new(exchange),
        serves_shards: config.role != Role::Gateway,
        serves_clients: config.role != Role::Engine,
        name: name(config),
        version: VERSION.to_owned(),
    };
    let started = Engine::start_among(Arc::clone(&store) as Arc<dyn Store>, engine, cluster).await;
    let engine = started.map_err(|error| Failure::running(error.to_string()))?;
    Ok((engine, Some(store)))
}

/// What is wrong with the configuration is said at once; what may pass is waited for.
async fn connect(options: &jono_store::RedisOptions) -> Result<(RedisStore, RedisExchange), Failure> {
    let patience = tokio::time::Instant::now() + REDIS_PATIENCE;
    loop {
        match RedisStore::connect(options.clone()).await {
            Ok(connected) => return Ok(connected),
            Err(error) if may_pass(&error) && tokio::time::Instant::now() < patience => {
                tracing::warn!(%error, "waiting for Redis");
                tokio::time::sleep(REDIS_PAUSE).await;
            }
            Err(error) if may_pass(&error) => return Err(Failure::running(error.to_string())),
            Err(error) => return Err(Failure::Configuration(error.to_string())),
        }
    }
}

fn may_pass(error: &ConnectError) -> bool {
    matches!(
        error,
        ConnectError::Unreachable { .. }
            | ConnectError::NoMaster
            | ConnectError::SlotsMissing { .. }
            | ConnectError::NoReplica { .. }
    )
}

/// Where this process runs, for whoever looks at all of them.
fn name(config: &Config) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let place = format!("{}/{}", host.trim(), std::process::id());
    if listen.is_empty() { place } else { format!("{place} on {}", listen.join(", ")) }
}

async fn open(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let Some(dir) = config.data.clone() else {
        return Ok(Arc::new(MemoryStore::new()));
    };
    let (durability, shown) = (config.durability, dir.display().to_string());
    let opened = tokio::task::spawn_blocking(move || FjallStore::open(&dir, durability)).await;
    let opened = opened.map_err(|_| Failure::running(format!("{shown}: the data directory is damaged beyond reading")))?;
    let store = opened.map_err(|error| Failure::running(format!("{shown}: {error}")))?;
    let damaged = store.damaged().len();
    if damaged > 0 {
        tracing::error!(data = shown, damaged, "records do not read; what they belong to is left out");
    }
    Ok(Arc::new(store))
}
