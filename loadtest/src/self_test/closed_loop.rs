//! How one should not measure: the next message is sent when the last one is answered, so that a stall holds up the measurement itself.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, client};

use crate::clock::{SECOND_NS, now_ns};
use crate::measure::Times;

/// Sends at most so many messages a second until that time, and measures each.
pub(super) fn measure(server: SocketAddr, rate: u64, until_ns: u64) -> Result<Times, String> {
    let stream = TcpStream::connect(server).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (mut socket, _) = client(format!("ws://{server}/"), stream).map_err(|error| error.to_string())?;
    let mut times = Times::default();
    while now_ns() < until_ns {
        let sent = now_ns();
        socket.send(Message::text("closed loop")).map_err(|error| error.to_string())?;
        socket.read().map_err(|error| error.to_string())?;
        let took = now_ns() - sent;
        times.record_ns(took);
        // As fast as the open load where nothing holds it up; whatever was missed meanwhile is never sent.
        std::thread::sleep(Duration::from_nanos((SECOND_NS / rate).saturating_sub(took)));
    }
    Ok(times)
}
