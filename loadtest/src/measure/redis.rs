//! What a Redis server has done: two numbers of its `INFO`.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Longest answer that is read.
const INFO_BYTES_MAX: usize = 64 * 1024;
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RedisUsage {
    pub commands: u64,
    pub cpu_ns: u64,
}

/// Asks the server at `HOST:PORT`.
pub(crate) fn usage(address: &str) -> Result<RedisUsage, String> {
    let ask = || -> std::io::Result<String> {
        let to = address.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no such host"))?;
        let mut stream = TcpStream::connect_timeout(&to, WAIT_MAX)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.write_all(b"INFO\r\nQUIT\r\n")?;
        let mut answer = Vec::new();
        stream.take(INFO_BYTES_MAX as u64).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = ask().map_err(|error| format!("Redis at {address}: {error}"))?;
    read(&answer).ok_or_else(|| format!("Redis at {address} does not say what it has done"))
}

fn read(info: &str) -> Option<RedisUsage> {
    let field = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')?.parse::<f64>().ok());
    let seconds = field("used_cpu_user")? + field("used_cpu_sys")?;
    Some(RedisUsage { commands: field("total_commands_processed")? as u64, cpu_ns: (seconds * 1e9) as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_numbers_are_found() {
        let info = "$99\r\n# Stats\r\ntotal_commands_processed:42\r\n# CPU\r\nused_cpu_sys:0.5\r\nused_cpu_user:1.25\r\n";
        assert_eq!(read(info), Some(RedisUsage { commands: 42, cpu_ns: 1_750_000_000 }));
        assert_eq!(read("-NOAUTH Authentication required.\r\n"), None);
    }
}
