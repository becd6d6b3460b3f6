//! Owns who may come in: sockets of the process, sockets and connections by address. One per
//! process-wide `serve`, shared by its workers. Must not know HTTP.

use crate::{
    limits::SocketLimits,
    stats::{Refused, SocketStats},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// Addresses remembered before those with nothing open are forgotten.
const ADDRESSES_KEPT: usize = 16 * 1024;

pub(crate) struct Gate {
    limits: Arc<SocketLimits>,
    stats: Arc<SocketStats>,
    addresses: Mutex<Addresses>,
    draining: AtomicBool,
    /// Notified when the last socket has gone.
    empty: Notify,
}

#[derive(Default)]
struct Addresses {
    known: HashMap<IpAddr, Address>,
    sweep_at: usize,
}

/// What one address holds.
struct Address {
    sockets: usize,
    connections: usize,
    tokens: f64,
    refilled: Instant,
}

impl Gate {
    pub(crate) fn new(limits: Arc<SocketLimits>, stats: Arc<SocketStats>) -> Self {
        Self {
            limits,
            stats,
            addresses: Mutex::new(Addresses { known: HashMap::new(), sweep_at: ADDRESSES_KEPT }),
            draining: AtomicBool::new(false),
            empty: Notify::new(),
        }
    }

    /// A TCP connection that is not a socket yet; None when the address has too many or is too fast.
    pub(crate) fn connect(self: &Arc<Self>, ip: IpAddr) -> Option<Connecting> {
        let Some(ip) = self.counted(ip) else {
            return Some(Connecting(None));
        };
        let mut addresses = self.addresses();
        let address = addresses.entry(ip, &self.limits);
        if address.connections >= self.limits.connections_per_address_max || !address.take_token(&self.limits) {
            return None;
        }
        address.connections += 1;
        Some(Connecting(Some((Arc::clone(self), ip))))
    }

    /// Room for one socket.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Permit, Refused> {
        if self.draining.load(SeqCst) {
            return Err(Refused::Draining);
        }
        let counted = self.counted(ip);
        if let Some(ip) = counted {
            let mut addresses = self.addresses();
            let address = addresses.entry(ip, &self.limits);
            if address.sockets >= self.limits.sockets_per_address_max {
                return Err(Refused::AddressFull);
            }
            address.sockets += 1;
        }
        // From here on the permit gives back what was taken.
        let before = self.stats.open.fetch_add(1, SeqCst);
        let permit = Permit { gate: Arc::clone(self), counted };
        if before >= self.limits.sockets_max {
            return Err(Refused::Full);
        }
        Ok(permit)
    }

    /// Nobody comes in any more.
    pub(crate) fn drain(&self) {
        self.draining.store(true, SeqCst);
    }

    /// Until no socket is open.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.stats.open() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// The address to be counted by, if any: an IPv6 customer has a whole /64.
    fn counted(&self, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        if self.limits.loopback_exempt && ip.is_loopback() {
            return None;
        }
        Some(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(ip) => {
                let network = u128::from(ip) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        // Counting leaves the table whole at every step, so a poisoned one is usable.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, ip: IpAddr, release: impl FnOnce(&mut Address)) {
        if let Some(address) = self.addresses().known.get_mut(&ip) {
            release(address);
        }
    }
}

impl Addresses {
    fn entry(&mut self, ip: IpAddr, limits: &SocketLimits) -> &mut Address {
        if self.known.len() >= self.sweep_at && !self.known.contains_key(&ip) {
            self.known.retain(|_, a| a.sockets + a.connections > 0);
            self.sweep_at = (self.known.len() * 2).max(ADDRESSES_KEPT);
        }
        self.known.entry(ip).or_insert_with(|| Address {
            sockets: 0,
            connections: 0,
            tokens: f64::from(limits.connections_burst_per_address),
            refilled: Instant::now(),
        })
    }
}

impl Address {
    fn take_token(&mut self, limits: &SocketLimits) -> bool {
        let granted = self.refilled.elapsed().as_secs_f64() * f64::from(limits.connections_per_second_per_address);
        let burst = f64::from(limits.connections_burst_per_address);
        self.tokens = (self.tokens + granted).min(burst);
        self.refilled = Instant::now();
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// A connection's place, given back when dropped.
pub(crate) struct Connecting(Option<(Arc<Gate>, IpAddr)>);

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some((gate, ip)) = self.0.take() {
            gate.release(ip, |address| address.connections -= 1);
        }
    }
}

/// A socket's place, given back when dropped.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    counted: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ip) = self.counted {
            self.gate.release(ip, |address| address.sockets -= 1);
        }
        if self.gate.stats.open.fetch_sub(1, SeqCst) == 1 {
            self.gate.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: SocketLimits) -> Arc<Gate> {
        Arc::new(Gate::new(Arc::new(limits), Arc::new(SocketStats::new(1))))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_a_64_is_one_address() {
        let gate = gate(SocketLimits { sockets_per_address_max: 1, sockets_max: 3, ..SocketLimits::default() });
        let first = gate.admit(ip("2001:db8::1")).unwrap();
        let second = gate.admit(ip("2001:db8::ffff:2"));
        assert_eq!(second.err(), Some(Refused::AddressFull));
        let other = gate.admit(ip("2001:db8:0:1::1")).unwrap();
        let loopback = gate.admit(ip("::ffff:127.0.0.1")).unwrap();
        assert_eq!(gate.admit(ip("10.0.0.1")).err(), Some(Refused::Full));
        drop((first, other, loopback));
        assert_eq!(gate.stats.open(), 0);
        drop(gate.admit(ip("2001:db8::1")).unwrap());
    }

    #[test]
    fn connections_are_limited_in_number_and_rate() {
        let gate = gate(SocketLimits {
            connections_per_address_max: 2,
            connections_burst_per_address: 3,
            connections_per_second_per_address: 0,
            ..SocketLimits::default()
        });
        let one = gate.connect(ip("10.0.0.1")).unwrap();
        let two = gate.connect(ip("10.0.0.1")).unwrap();
        assert!(gate.connect(ip("10.0.0.1")).is_none());
        drop((one, two));
        assert!(gate.connect(ip("10.0.0.1")).is_some());
        assert!(gate.connect(ip("10.0.0.1")).is_none());
        assert!(gate.connect(ip("10.0.0.2")).is_some());
    }
}
