//! How many conversations customers begin from one address, in the whole process: sessions are cheap to
//! open, so a limit for each of them alone is none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use jono_domain::time::{MINUTE_MS, Time};

use super::limits::{ADDRESSES_MAX, Allowance};

/// An address as it is counted: an IPv6 customer has a whole /64. Never zero, so that having none costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network(NonZeroU64);

impl Network {
    /// `None` is not counted.
    pub(super) fn of(ip: IpAddr, loopback_exempt: bool) -> Option<Self> {
        let ip = ip.to_canonical();
        if loopback_exempt && ip.is_loopback() {
            return None;
        }
        let bits = match ip {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            // The first 32 bits of a global address are not zero: these are no IPv4 addresses.
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
        };
        // `::1`, where it is counted.
        Some(Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MAX)))
    }
}

/// A bucket for each address that began a conversation lately.
#[derive(Debug, Default)]
pub struct Starts {
    buckets: Mutex<Buckets>,
}

/// When each bucket will be full again (GCRA).
#[derive(Debug, Default)]
struct Buckets {
    by_network: BTreeMap<Network, Time>,
    /// The same, the fullest first.
    by_moment: BTreeSet<(Time, Network)>,
}

impl Starts {
    /// Takes one of this address's.
    ///
    /// # Errors
    /// When to come back, in milliseconds.
    pub(super) fn take(&self, network: Network, allowance: Allowance, now: Time) -> Result<(), u64> {
        // Buckets are taken out and put back as a whole, so a poisoned table is usable.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(network, allowance, now)
    }
}

impl Buckets {
    fn take(&mut self, network: Network, allowance: Allowance, now: Time) -> Result<(), u64> {
        let full_at = self.by_network.get(&network).copied();
        let full_after = allowance.full_after(full_at.unwrap_or(now), now)?;
        if let Some(full_at) = full_at {
            self.by_moment.remove(&(full_at, network));
        }
        // Who has recovered is forgotten. Are there still too many, the one closest to it is: a crowd of
        // addresses gets more than its share, and nobody is refused for it.
        while let Some((full_at, fullest)) = self.by_moment.first().copied() {
            if full_at > now && self.by_moment.len() < ADDRESSES_MAX {
                break;
            }
            self.by_moment.pop_first();
            self.by_network.remove(&fullest);
        }
        self.by_network.insert(network, full_after);
        self.by_moment.insert((full_after, network));
        Ok(())
    }
}

impl Allowance {
    /// One is taken of a bucket that would be full again at `full_at`: when will it be now?
    ///
    /// # Errors
    /// When there is one, in milliseconds.
    pub(super) fn full_after(self, full_at: Time, now: Time) -> Result<Time, u64> {
        let each_ms = (MINUTE_MS / u64::from(self.per_minute.max(1))).max(1);
        let room_ms = each_ms * u64::from(self.burst.max(1));
        // A clock that was set back must not lock anybody out.
        let full_after = full_at.clamp(now, now + room_ms) + each_ms;
        if full_after > now + room_ms { Err(full_after.since_ms(now + room_ms)) } else { Ok(full_after) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_790_000_000_000);
    const ALLOWANCE: Allowance = Allowance { per_minute: 60, burst: 2 };

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap(), true).unwrap()
    }

    #[test]
    fn an_address_has_its_burst_then_its_rate_and_a_64_is_one_address() {
        let starts = Starts::default();
        let (here, same, other) = (network("2001:db8::1"), network("2001:db8::ffff:2"), network("2001:db8:0:1::1"));
        assert_eq!(starts.take(here, ALLOWANCE, NOW), Ok(()));
        assert_eq!(starts.take(same, ALLOWANCE, NOW), Ok(()));
        assert_eq!(starts.take(here, ALLOWANCE, NOW), Err(1_000));
        assert_eq!(starts.take(other, ALLOWANCE, NOW), Ok(()));
        assert_eq!(starts.take(network("192.0.2.1"), ALLOWANCE, NOW), Ok(()));
        assert_eq!(starts.take(here, ALLOWANCE, NOW + 1_000), Ok(()));
        assert!(starts.take(here, ALLOWANCE, NOW - 3_600_000).unwrap_err() <= 1_000, "a clock set back");
    }

    #[test]
    fn this_machine_is_not_counted_unless_told_so() {
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Network::of(text.parse().unwrap(), true), None, "{text}");
            assert!(Network::of(text.parse().unwrap(), false).is_some(), "{text}");
        }
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn the_table_is_bounded_forgets_the_fullest_and_refuses_nobody() {
        let starts = Starts::default();
        let greedy = network("192.0.2.1");
        starts.take(greedy, ALLOWANCE, NOW).unwrap();
        starts.take(greedy, ALLOWANCE, NOW).unwrap();
        for number in 0..2 * ADDRESSES_MAX as u32 {
            let crowd = Network::of(IpAddr::V4((0x0a00_0000 + number).into()), true).unwrap();
            assert_eq!(starts.take(crowd, ALLOWANCE, NOW), Ok(()));
        }
        assert_eq!(starts.take(greedy, ALLOWANCE, NOW), Err(1_000), "the emptiest bucket is kept");
        let sizes = |starts: &Starts| {
            let buckets = starts.buckets.lock().unwrap();
            (buckets.by_network.len(), buckets.by_moment.len())
        };
        assert_eq!(sizes(&starts), (ADDRESSES_MAX, ADDRESSES_MAX));
        starts.take(greedy, ALLOWANCE, NOW + MINUTE_MS).unwrap();
        assert_eq!(sizes(&starts), (1, 1), "who has recovered is forgotten");
    }
}
