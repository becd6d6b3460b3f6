//! The steady clock that all processes of a machine share, and an alarm that rings to the microsecond.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND_NS: u64 = 1_000_000;

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * SECOND_NS + now.tv_nsec as u64
}

/// Nanoseconds of the steady clock (since the machine started).
pub(crate) fn now_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// Nanoseconds of the wall clock, since 1970.
pub(crate) fn wall_ns() -> u64 {
    read(ClockId::Realtime)
}

/// CPU time of this process, nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// A timer of the kernel. A poll's own time-out is rounded up to a millisecond, and so would every latency be.
#[derive(Debug)]
pub(crate) struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that does not ring yet.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?))
    }

    /// For the poll.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Rings at that time of the steady clock, at once if it is over. Forgets what was set before.
    pub fn set(&self, at_ns: u64) -> std::io::Result<()> {
        // All zeros would switch it off.
        let at_ns = at_ns.max(1);
        let at = Timespec { tv_sec: (at_ns / SECOND_NS) as i64, tv_nsec: (at_ns % SECOND_NS) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }
}
