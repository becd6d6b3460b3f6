//! The server of the self-test: returns every frame at once, but stands still for a known time at known intervals.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use crate::clock::now_ns;

/// How it stands still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// For so long, milliseconds,
    pub stands_ms: f64,
    /// in each period of so many milliseconds.
    pub every_ms: f64,
}

impl Stall {
    /// When something that arrives at that time (nanoseconds since the server began) is answered.
    #[must_use]
    pub fn free_again_ns(&self, at_ns: u64) -> u64 {
        let (stands, every) = ((self.stands_ms * 1e6) as u64, (self.every_ms * 1e6).max(1.0) as u64);
        // In the middle of a period, so that beginning and end of a run meet no stall.
        let begins = (every.saturating_sub(stands)) / 2;
        let within = at_ns % every;
        if (begins..begins + stands).contains(&within) { at_ns - within + begins + stands } else { at_ns }
    }
}

/// A server on a port of the loopback interface. It serves until the process ends.
#[derive(Debug)]
pub struct StallingServer {
    address: SocketAddr,
}

impl StallingServer {
    /// Begins to listen; the first period begins now.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(stall: Stall) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let began_ns = now_ns();
        std::thread::spawn(move || {
            // A thread for each connection: there are few, and each stands still by itself at the same time.
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || serve(stream, stall, began_ns));
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Ends, silently, when the connection does.
fn serve(stream: TcpStream, stall: Stall, began_ns: u64) {
    let _ = stream.set_nodelay(true);
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = socket.read() {
        let now = now_ns() - began_ns;
        let free = stall.free_again_ns(now);
        if free > now {
            std::thread::sleep(Duration::from_nanos(free - now));
        }
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_in_the_middle_of_each_period() {
        let stall = Stall { stands_ms: 2.0, every_ms: 10.0 };
        for (at, free) in [
            (0, 0),
            (3_999_999, 3_999_999),
            (4_000_000, 6_000_000),
            (5_999_999, 6_000_000),
            (6_000_000, 6_000_000),
            (14_500_000, 16_000_000),
        ] {
            assert_eq!(stall.free_again_ns(at), free, "{at}");
        }
    }
}
