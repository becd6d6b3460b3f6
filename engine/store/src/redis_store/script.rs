//! The scripts that run inside Redis.
//!
//! All begin with `#!lua`: so Redis refuses one that may write before it starts (`OOM`, `READONLY`, `MISCONF`), and not in
//! the middle.

use std::sync::LazyLock;

use redis::Cmd;

/// One script and the name by which Redis remembers it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: LazyLock<String>,
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: Script = {
            const TEXT: &str = include_str!(concat!("lua/", $file));
            Script { text: TEXT, hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()) }
        };
    };
}

script!(COMMIT, "commit.lua");
script!(ACQUIRE, "acquire.lua");
script!(SETTLE, "settle.lua");
script!(LOAD, "load.lua");
script!(LOG, "log.lua");
script!(ENTRY, "entry.lua");
script!(FORGET, "forget.lua");
script!(CONSTANT, "constant.lua");
script!(JOIN, "join.lua");
script!(BEAT, "beat.lua");
script!(LOOK, "look.lua");
script!(RENEW, "renew.lua");
script!(PUBLISH, "publish.lua");
script!(SEND, "send.lua");
script!(PASS, "pass.lua");
script!(IDENTITY, "identity.lua");

impl Script {
    /// A call of the script on these keys; the arguments are added by the caller.
    pub(super) fn on<K: AsRef<[u8]>>(&'static self, keys: &[K]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&**self.hash).arg(keys.len());
        for key in keys {
            call.arg(key.as_ref());
        }
        call
    }

    /// What makes Redis know the script.
    pub(super) fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.text);
        load
    }
}
