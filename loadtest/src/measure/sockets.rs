//! What the kernel spends on the TCP sockets of a process: their buffers, as it says over netlink, and the objects behind each socket.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use serde::{Deserialize, Serialize};

use super::process::socket_inodes;

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// `INET_DIAG_SKMEMINFO` of `linux/inet_diag.h`.
const MEMORY: u16 = 7;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const HEADER_BYTES: usize = 16;
const MESSAGE_BYTES: usize = 72;
const INODE_AT: usize = 68;
/// Objects of the kernel behind one connected socket, with their sizes where `/proc/slabinfo` may not be read: Linux 6, 64 bit.
const OBJECTS: [(&str, u64); 5] =
    [("TCP", 2_432), ("sock_inode_cache", 832), ("dentry", 192), ("filp", 256), ("eventpoll_epi", 128)];

/// The sockets of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SocketMemory {
    pub sockets: u64,
    /// Data that waits in buffers, and memory kept for more.
    pub buffer_bytes: u64,
    /// The socket objects themselves, with what the file system and epoll need for each.
    pub object_bytes: u64,
}

/// The TCP sockets of these processes together.
pub(crate) fn memory_of(pids: &[u32]) -> io::Result<SocketMemory> {
    let mut buffers = BTreeMap::new();
    for family in [AF_INET, AF_INET6] {
        dump(family, &mut buffers)?;
    }
    let mut memory = SocketMemory::default();
    for inode in pids.iter().flat_map(|pid| socket_inodes(*pid)) {
        if let Some(bytes) = buffers.get(&inode) {
            memory.sockets += 1;
            memory.buffer_bytes += bytes;
        }
    }
    memory.object_bytes = memory.sockets * object_bytes();
    Ok(memory)
}

/// Bytes of buffers by the inode of each socket.
fn dump(family: u8, found: &mut BTreeMap<u64, u64>) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    let mut request = Vec::with_capacity(HEADER_BYTES + 56);
    request.extend_from_slice(&72u32.to_ne_bytes());
    request.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    request.extend_from_slice(&DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[family, IPPROTO_TCP, 1 << (MEMORY - 1), 0]);
    request.extend_from_slice(&u32::MAX.to_ne_bytes());
    request.extend_from_slice(&[0; 48]);
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (bytes, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..bytes];
        while rest.len() >= HEADER_BYTES {
            let length = u32_at(rest, 0) as usize;
            if length < HEADER_BYTES || length > rest.len() {
                break;
            }
            match u16_at(rest, 4) {
                DONE => return Ok(()),
                ERROR => return Err(io::Error::other("the kernel does not tell about sockets")),
                _ => {}
            }
            if let Some(message) = rest.get(HEADER_BYTES..length).filter(|message| message.len() >= MESSAGE_BYTES) {
                found.insert(u64::from(u32_at(message, INODE_AT)), buffer_bytes(&message[MESSAGE_BYTES..]));
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// The sum of what is allocated to receive, to send, ahead, for options, and in the backlog.
fn buffer_bytes(mut attributes: &[u8]) -> u64 {
    while attributes.len() >= 4 {
        let length = usize::from(u16_at(attributes, 0));
        if length < 4 || length > attributes.len() {
            return 0;
        }
        if u16_at(attributes, 2) == MEMORY && length >= 4 + 8 * 4 {
            return [0, 4, 5, 6, 7].into_iter().map(|field| u64::from(u32_at(attributes, 4 + field * 4))).sum();
        }
        attributes = &attributes[length.next_multiple_of(4).min(attributes.len())..];
    }
    0
}

fn object_bytes() -> u64 {
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let size = |name: &str| {
        let line = slabs.lines().find(|line| line.split_whitespace().next() == Some(name))?;
        line.split_whitespace().nth(3)?.parse::<u64>().ok()
    };
    OBJECTS.into_iter().map(|(name, usual)| size(name).unwrap_or(usual)).sum()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_this_process_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let clients: Vec<_> = (0..10).map(|_| std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let memory = memory_of(&[std::process::id()]).unwrap();
        assert!(memory.sockets >= 11, "{memory:?}");
        assert!(memory.object_bytes >= memory.sockets * 1_000, "{memory:?}");
        drop(clients);
    }
}
