//! Where a server is, and where a key belongs.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::options::ConnectError;

/// Slots of a cluster.
pub(super) const SLOTS: usize = 16_384;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    /// As redirections name it. Without a host it is the one who said so.
    pub(super) fn parse(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = if host.is_empty() || host == "?" { &said_by.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// How to log in, at whichever address.
#[derive(Clone)]
pub(super) struct Access(ConnectionInfo);

impl Access {
    /// The addresses of urls; user, password and database are those of the first.
    pub(super) fn parse(urls: &[String]) -> Result<(Self, Vec<Address>), ConnectError> {
        let mut access = None;
        let mut addresses = Vec::new();
        for (place, url) in (1..).zip(urls) {
            let info = url.as_str().into_connection_info().map_err(|_| ConnectError::Url(place))?;
            let ConnectionAddr::Tcp(host, port) = info.addr() else {
                return Err(ConnectError::Url(place));
            };
            addresses.push(Address { host: host.clone(), port: *port });
            access.get_or_insert(info);
        }
        Ok((Self(access.ok_or(ConnectError::Url(0))?), addresses))
    }

    /// What the client needs to connect there. With RESP3 it hears of a connection's end while it sends nothing.
    pub(super) fn to(&self, address: &Address) -> ConnectionInfo {
        let settings = self.0.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        self.0.clone().set_addr(ConnectionAddr::Tcp(address.host.clone(), address.port)).set_redis_settings(settings)
    }
}

/// The slot of keys with this hash tag: CRC-16 (XMODEM) of the tag, as the cluster specification has it.
pub(super) fn slot(tag: &str) -> usize {
    let mut sum: u16 = 0;
    for byte in tag.bytes() {
        sum ^= u16::from(byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 };
        }
    }
    usize::from(sum) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot(""), 0);
    }

    #[test]
    fn redirections_name_addresses() {
        let me = Address { host: "10.0.0.1".into(), port: 1 };
        let parsed = |text| Address::parse(text, &me).map(|address| address.to_string());
        assert_eq!(parsed("10.0.0.2:7001").as_deref(), Some("10.0.0.2:7001"));
        assert_eq!(parsed(":7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(parsed("::1:7001").as_deref(), Some("[::1]:7001"));
        assert_eq!(parsed("nonsense"), None);
    }

    #[test]
    fn urls_that_are_none_are_named_by_their_place() {
        let urls = ["redis://:secret@localhost:1".to_owned(), "http://:secret@localhost".to_owned()];
        assert_eq!(Access::parse(&urls).err(), Some(ConnectError::Url(2)));
        assert_eq!(Access::parse(&[]).err(), Some(ConnectError::Url(0)));
    }
}
