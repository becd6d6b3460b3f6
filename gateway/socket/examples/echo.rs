//! An echo server on the socket layer, to be measured: `echo [address] [workers]`. Prints its
//! counters and resident memory every five seconds; ends with a drain on a line of input.

use actix_web::{App, web};
use jono_socket::{Admit, Closed, HttpRefusal, ServeConfig, Session, Socket, SocketLimits, Text, UpgradeHead, listen, serve};
use std::{env, io, time::Duration};

struct Echo;

impl Session for Echo {
    type Message = ();

    fn opened(&mut self, socket: &mut Socket<'_>) {
        socket.confirm_open();
    }

    fn received(&mut self, text: &str, socket: &mut Socket<'_>) {
        socket.send(Text::from(text));
    }

    fn told(&mut self, (): (), _: &mut Socket<'_>) {}

    fn closed(&mut self, _: Closed) {}
}

#[derive(Clone)]
struct Anybody;

impl Admit for Anybody {
    type Session = Echo;

    fn admit(&self, _: &UpgradeHead<'_>) -> Result<Echo, HttpRefusal> {
        Ok(Echo)
    }
}

#[actix::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let address = address.parse().map_err(io::Error::other)?;
    let mut config = ServeConfig::new(listen(address)?);
    if let Some(workers) = arguments.next() {
        config.workers = workers.parse().map_err(io::Error::other)?;
    }
    // Measured without the limits on rates, which are there to be hit by what a loader does.
    config.limits = SocketLimits {
        frames_per_second: u32::MAX,
        frames_burst: u32::MAX,
        bytes_per_second: u32::MAX,
        bytes_burst: u32::MAX,
        ..SocketLimits::default()
    };
    let app = || App::new().route("/healthz", web::get().to(|| async { "ok" }));
    let server = serve(config, app, |_| Anybody)?;
    println!("echo on ws://{}/", server.addr());
    let stats = server.stats().clone();
    actix::spawn(async move {
        loop {
            let counts = stats.counts();
            println!("{counts:?}; resident {} KiB", resident_kib());
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    actix_web::web::block(|| io::stdin().read_line(&mut String::new())).await.map_err(io::Error::other)??;
    let since = std::time::Instant::now();
    let stats = server.stats().clone();
    let open = stats.open();
    server.drain(Duration::from_secs(10)).await?;
    println!("drained {open} in {:?}: {:?}", since.elapsed(), stats.counts());
    Ok(())
}

/// Resident memory of this process; 0 where `/proc` is not.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
