//! What operators ask on the command line of a system that runs: who is there and who owns what (`status`), whether Redis and
//! this machine are fit for it (`doctor`), and the root key. Nothing here changes what runs; on a Redis that nobody has used yet, asking makes
//! what the first process would make (the secret, the number of shards).

mod doctor;
mod status;

pub use doctor::doctor;
pub use status::status;

use jono_engine::secret_of;
use jono_store::{Durability, RedisExchange, RedisOptions, RedisStore};

use crate::auth::Auth;
use crate::config::{Config, RootKey};
use crate::server::{Failure, derived_root_key};

/// The root key that processes on this Redis use, unless they were given another.
///
/// # Errors
/// [`Failure`], when there is no Redis, or it cannot be reached.
pub async fn root_key(config: &Config) -> Result<String, Failure> {
    if config.root_key != RootKey::Generated {
        return Err(Failure::Configuration("the root key is given by the configuration: it is that one".to_owned()));
    }
    let (store, _) = connect(config).await?;
    let secret = secret_of(&store).await.map_err(|error| Failure::Running(error.to_string()))?;
    Ok(format!("{}\n", derived_root_key(&Auth::new(secret))))
}

fn redis_of(config: &Config) -> Result<RedisOptions, Failure> {
    let missing = "which Redis? --redis redis://host:port, the variable JONO_REDIS, or `redis.url` in the file";
    config.redis.clone().ok_or_else(|| Failure::Configuration(missing.to_owned()))
}

/// To look only: nothing is asked of its durability.
async fn connect(config: &Config) -> Result<(RedisStore, RedisExchange), Failure> {
    let options = RedisOptions { durability: Durability::Memory, ..redis_of(config)? };
    RedisStore::connect(options).await.map_err(|error| Failure::Running(error.to_string()))
}
