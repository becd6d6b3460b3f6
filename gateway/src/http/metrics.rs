//! `/metrics`: what the socket layer, the engine and the operating system count. The only place that
//! names `prometheus-client`. Everything is read when asked; nothing is counted here.

use std::fmt;
use std::sync::Arc;

use jono_socket::SocketCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::engine::Reading;
use super::state::State;

/// What the answer is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything, as text.
pub(super) fn text(state: &State, process: Process) -> String {
    let mut registry = Registry::with_prefix("jono");
    let sockets: Vec<SocketCounts> = state.sockets.get().into_iter().flatten().map(|stats| stats.counts()).collect();
    let readings = Arc::new(Readings { plain: readings(state, &sockets, process), sockets });
    registry.register_collector(Box::new(readings));
    let mut text = String::new();
    // Writing to a text fails only when a name is no name, which the tests would tell.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Readings {
    plain: Vec<Reading>,
    sockets: Vec<SocketCounts>,
}

fn readings(state: &State, sockets: &[SocketCounts], process: Process) -> Vec<Reading> {
    let sum = |pick: fn(&SocketCounts) -> u64| sockets.iter().map(pick).sum();
    let total = |name: &str, about, value| Reading { name: name.to_owned(), about, grows: true, value };
    let gauge = |name: &str, about, value| Reading { name: name.to_owned(), about, grows: false, value };
    let mut all = vec![
        gauge("ready", "1 while sockets are welcome", u64::from(state.is_ready())),
        gauge("sockets_open", "Sockets now, those being closed included", sum(|c| c.open as u64)),
        gauge("sockets_outbox_bytes", "Bytes waiting in outboxes", sum(|c| c.outbox_bytes as u64)),
        total("sockets_accepted", "Handshakes completed", sum(|c| c.accepted)),
        total("sockets_messages_received", "Text messages received", sum(|c| c.messages_in)),
        total("sockets_messages_sent", "Text messages written", sum(|c| c.messages_out)),
        total("sockets_received_bytes", "Bytes received, framing included", sum(|c| c.bytes_in)),
        total("sockets_sent_bytes", "Bytes of messages written", sum(|c| c.bytes_out)),
        total("sockets_told", "Messages delivered to sessions", sum(|c| c.told)),
        total("sockets_told_stale", "Messages for sockets that were gone", sum(|c| c.told_stale)),
        total("sockets_lost", "Sockets that ended without a Close", sum(|c| c.lost)),
        total("sockets_silent", "Sockets cut off for silence", sum(|c| c.silent)),
        total("sockets_closed_by_peer", "Sockets closed by their peers", sum(|c| c.by_peer)),
        total("sockets_aborted", "Sockets dropped with their worker", sum(|c| c.aborted)),
        total("sockets_panics", "Panics of sessions", sum(|c| c.panics)),
    ];
    all.extend(state.admin.readings());
    all.extend(process.into_iter().flatten());
    all
}

/// Memory and files of this process.
pub(super) type Process = [Option<Reading>; 2];

/// Reads them where `/proc` tells. Blocks.
pub(super) fn process() -> Process {
    let gauge = |name: &str, about, value| Reading { name: name.to_owned(), about, grows: false, value };
    let status = std::fs::read_to_string("/proc/self/status").ok();
    let resident = status.and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
    [
        resident.map(|kib| gauge("process_resident_bytes", "Resident memory", kib * 1024)),
        files.map(|files| gauge("process_open_files", "File descriptors in use", files)),
    ]
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for reading in &self.plain {
            if reading.grows {
                let metric = ConstCounter::new(reading.value);
                metric.encode(encoder.encode_descriptor(&reading.name, reading.about, None, metric.metric_type())?)?;
            } else {
                let metric = ConstGauge::new(i64::try_from(reading.value).unwrap_or(i64::MAX));
                metric.encode(encoder.encode_descriptor(&reading.name, reading.about, None, metric.metric_type())?)?;
            }
        }
        let about = "Sockets closed from here, by close code";
        let mut closed = encoder.encode_descriptor("sockets_closed", about, None, MetricType::Counter)?;
        for (code, count) in by_name(&self.sockets, |counts| counts.closed.clone()) {
            let labels = [("code", code.to_string())];
            ConstCounter::new(count).encode(closed.encode_family(&labels)?)?;
        }
        let about = "Upgrades and connections refused, by cause";
        let mut refused = encoder.encode_descriptor("sockets_refused", about, None, MetricType::Counter)?;
        for (cause, count) in by_name(&self.sockets, |counts| refusals(counts).to_vec()) {
            ConstCounter::new(count).encode(refused.encode_family(&[("cause", cause)])?)?;
        }
        Ok(())
    }
}

fn refusals(counts: &SocketCounts) -> [(&'static str, u64); 6] {
    [
        ("malformed", counts.refused_malformed),
        ("not_admitted", counts.refused_not_admitted),
        ("full", counts.refused_full),
        ("address_full", counts.refused_address_full),
        ("address_rate", counts.refused_address_rate),
        ("draining", counts.refused_draining),
    ]
}

fn by_name<N: Ord>(sockets: &[SocketCounts], pick: impl Fn(&SocketCounts) -> Vec<(N, u64)>) -> Vec<(N, u64)> {
    let mut sums = std::collections::BTreeMap::new();
    for (name, count) in sockets.iter().flat_map(pick) {
        *sums.entry(name).or_default() += count;
    }
    sums.into_iter().collect()
}
