//! A result as one page that needs nothing else: no scripts, nothing loaded, readable in light and dark, on paper, and aloud.

use std::fmt::Write as _;

use super::svg::{Chart, Line, Scale, escape};
use super::{Report, Second};

const STYLE: &str = include_str!("page.css");
/// Rows of a table of seconds; longer runs are thinned.
const ROWS_MAX: usize = 600;

/// See the module.
pub(super) fn page(report: &Report) -> String {
    let verdict = match (report.verdict.valid, report.verdict.passed) {
        (false, _) => ("invalid", "Invalid: the figures do not count"),
        (true, false) => ("failed", "Failed"),
        (true, true) => ("passed", "Passed"),
    };
    let name = escape(&report.scenario.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{name}: {}</title><style>{STYLE}</style></head><body><main>\
         <h1>{name}</h1><p>{}</p><p class=\"verdict {}\">{}</p>",
        verdict.1,
        escape(&report.scenario.question),
        verdict.0,
        verdict.1
    );
    if !report.verdict.reasons.is_empty() {
        let reasons: String = report.verdict.reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
        let _ = write!(page, "<ul>{reasons}</ul>");
    }
    page += &facts(report);
    page += &charts(report);
    page += &phases(report);
    page += &times(report);
    page += &promises(report);
    page += &cost(report);
    page += &seconds(report);
    let scenario = serde_json::to_string_pretty(&report.scenario).unwrap_or_default();
    let _ = writeln!(
        page,
        "<h2>Settings</h2><details><summary>The scenario with every default</summary><pre>{}</pre></details></main></body></html>",
        escape(&scenario)
    );
    page
}

/// A table with a caption; the first cell of each row is its head.
fn table(caption: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let mut body = String::new();
    for row in rows {
        body += "<tr>";
        for (index, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            body += &if index == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") };
        }
        body += "</tr>";
    }
    format!(
        "<div class=\"table\"><table><caption>{}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>",
        escape(caption)
    )
}

fn facts(report: &Report) -> String {
    let target = &report.target;
    let honesty = &report.honesty;
    let rows = [
        ("Target", format!("{} {} at {}", target.name, target.revision, target.url)),
        (
            "An acknowledgement survives",
            if target.durability.is_empty() { "unknown".to_owned() } else { target.durability.clone() },
        ),
        ("Machine", report.machine.clone()),
        ("Began", utc(report.began_at)),
        ("Limits of sessions", if target.limits_lifted { "lifted for the test" } else { "as configured" }.to_owned()),
        (
            "Generator",
            format!(
                "{} process(es), send lag p99 {:.3} ms, at most {:.0} % of a core each, clock moved by {:.2} ms",
                honesty.workers,
                honesty.send_lag_p99_ms,
                honesty.cpu_percent,
                honesty.clock_moved_ms.abs()
            ),
        ),
        ("Set", if report.set.is_empty() { "nothing".to_owned() } else { report.set.join(", ") }),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    format!("<div class=\"facts\">{}</div>", table("What was measured", &["", ""], rows))
}

/// Milliseconds since 1970 as `2026-11-20 13:07:00 UTC`. Days are counted in eras of 400 years that begin on the first of March.
fn utc(ms: u64) -> String {
    let (seconds, days) = (ms / 1_000 % 86_400, ms / 86_400_000 + 719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

fn charts(report: &Report) -> String {
    let of = |value: fn(&Second) -> f64| report.series.iter().map(|second| (second.second as f64, value(second))).collect();
    let server_is_seen = !report.target.processes.is_empty();
    let mut stretches: Vec<(f64, String)> = Vec::new();
    for second in &report.series {
        if stretches.last().is_none_or(|(_, name)| *name != second.phase) {
            stretches.push((second.second as f64, second.phase.clone()));
        }
    }
    let over_time = |id, title, y, y_scale, lines: Vec<Line<'_>>| {
        let description = describe(&lines, y);
        let stretches = stretches.clone();
        let chart = Chart { id, title, description, x: "seconds", y, y_scale, x_marks: Vec::new(), stretches, lines };
        format!("<h3>{title}</h3><figure>{}</figure>", chart.draw())
    };
    let rate = over_time(
        "rate",
        "Messages a second",
        "messages/s",
        Scale::Even,
        vec![
            Line { name: "intended", points: of(|second| second.intended as f64) },
            Line { name: "delivered", points: of(|second| second.delivered as f64) },
            Line { name: "refused", points: of(|second| second.refused as f64) },
        ],
    );
    let delivered = over_time(
        "delivered",
        "From the intended time to delivery",
        "ms",
        Scale::Powers,
        vec![
            Line { name: "p50", points: of(|second| if_any(second, second.delivered_p50_ms)) },
            Line { name: "p99", points: of(|second| if_any(second, second.delivered_p99_ms)) },
            Line { name: "longest", points: of(|second| if_any(second, second.delivered_max_ms)) },
        ],
    );
    let machine = over_time(
        "machine",
        "CPU, percent of one core",
        "%",
        Scale::Even,
        vec![
            Line { name: "server", points: of(|second| second.server_cpu_percent) },
            Line { name: "busiest generator", points: of(|second| second.generator_cpu_percent) },
        ]
        .into_iter()
        .filter(|line| server_is_seen || line.name != "server")
        .collect(),
    );
    let memory = over_time(
        "memory",
        "Resident memory of the server",
        "MiB",
        Scale::Even,
        vec![Line { name: "server", points: of(|second| second.server_rss_mib) }],
    );
    let people = over_time(
        "people",
        "Who is there",
        "users",
        Scale::Even,
        vec![
            Line { name: "connected", points: of(|second| second.connected as f64) },
            Line { name: "waiting", points: of(|second| second.waiting as f64) },
            Line { name: "served", points: of(|second| second.served as f64) },
        ],
    );
    let memory = if server_is_seen { memory } else { String::new() };
    format!("<h2>Charts</h2>{}{rate}{delivered}{machine}{memory}{people}", percentiles(report))
}

/// A time of a second in which messages came; otherwise there is none, which is not the same as a short one.
fn if_any(second: &Second, ms: f64) -> f64 {
    if second.delivered > 0 { ms } else { f64::NAN }
}

fn describe(lines: &[Line<'_>], unit: &str) -> String {
    let words = lines.iter().map(|line| {
        let most = line.points.iter().map(|point| point.1).fold(0.0, f64::max);
        let last = line.points.iter().rev().find(|point| !point.1.is_nan()).map_or(0.0, |point| point.1);
        format!("{}: at most {most:.2}, in the end {last:.2} {unit}", line.name)
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Times by percentile, to 99.99: nines are equally far apart.
fn percentiles(report: &Report) -> String {
    let places = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99];
    let across = |percentile: f64| -(1.0 - percentile / 100.0).log10();
    let lines: Vec<Line<'_>> = ["acknowledged", "delivered", "delivered_service", "wait"]
        .into_iter()
        .filter_map(|name| {
            let times = report.total.times.get(name)?;
            let points = places.iter().map(|place| (across(*place), times.histogram.at_ms(*place))).collect();
            Some(Line { name, points })
        })
        .collect();
    let marks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99].map(|place| (across(place), format!("{place}"))).to_vec();
    let title = "Times by percentile";
    let description = describe(&lines, "ms");
    let chart = Chart {
        id: "percentiles",
        title,
        description,
        x: "percent of messages",
        y: "ms",
        y_scale: Scale::Powers,
        x_marks: marks,
        stretches: Vec::new(),
        lines,
    };
    format!("<h3>{title}</h3><figure>{}</figure>", chart.draw())
}

fn phases(report: &Report) -> String {
    let redis = report.total.server.as_ref().is_some_and(|server| server.redis_commands > 0);
    let rows = report.phases.iter().chain([&report.total]).map(|phase| {
        let times = |name: &str| {
            phase.times.get(name).map_or_else(String::new, |times| format!("{:.2} / {:.2}", times.p50_ms, times.p99_ms))
        };
        let server = |of: fn(&super::ServerUse) -> f64| {
            phase.server.as_ref().map_or_else(String::new, |server| format!("{:.0}", of(server)))
        };
        vec![
            if phase.measured { phase.name.clone() } else { format!("{} (not measured)", phase.name) },
            format!("{:.1}", phase.seconds),
            format!("{:.1}", phase.offered_per_second),
            format!("{:.1}", phase.delivered_per_second),
            times("acknowledged"),
            times("delivered"),
            times("wait"),
            server(|server| server.cpu_percent),
            server(|server| server.rss_mib),
            server(|server| server.messages_per_cpu_second),
            if redis { server(|server| server.redis_commands as f64) } else { String::new() },
        ]
    });
    let heads = [
        "phase",
        "s",
        "intended /s",
        "delivered /s",
        "acknowledged p50 / p99 ms",
        "delivered p50 / p99 ms",
        "wait p50 / p99 ms",
        "server CPU %",
        "server MiB",
        "messages per CPU-second",
        "Redis commands",
    ];
    // Columns that say nothing about this run take the place of those that do.
    let rows: Vec<Vec<String>> = rows.collect();
    let is_used: Vec<bool> = (0..heads.len()).map(|at| rows.iter().any(|row| !row[at].is_empty())).collect();
    let used = |cells: Vec<String>| cells.into_iter().zip(&is_used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect();
    let heads: Vec<&str> = heads.into_iter().zip(&is_used).filter(|(_, used)| **used).map(|(head, _)| head).collect();
    format!("<h2>Phases</h2>{}", table("Phase by phase", &heads, rows.into_iter().map(used)))
}

fn times(report: &Report) -> String {
    let rows = report.total.times.iter().map(|(name, times)| {
        let ms = [times.mean_ms, times.p50_ms, times.p90_ms, times.p99_ms, times.p99_9_ms, times.p99_99_ms, times.max_ms];
        let cells = ms.iter().map(|ms| format!("{ms:.3}"));
        [name.clone(), times.count.to_string()].into_iter().chain(cells).collect()
    });
    let heads = ["ms", "count", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "longest"];
    let note = "<p>Times count from when something was intended to happen, so that a server that stalls cannot hide it; \
                <code>_service</code> counts from when the message left. A message that never came counts with the time until the end.</p>";
    format!("<h2>Times</h2>{note}{}", table("All measured phases", &heads, rows))
}

fn promises(report: &Report) -> String {
    let wrong = report.wrong.all().into_iter().map(|(name, count)| vec![name.replace('_', " "), count.to_string()]);
    let mut html = format!("<h2>Promises</h2>{}", table("Checked for every message", &["", "cases"], wrong));
    if !report.cases.is_empty() {
        let cases: String = report.cases.iter().map(|case| format!("<li>{}</li>", escape(case))).collect();
        let _ = write!(html, "<ul>{cases}</ul>");
    }
    if !report.slos.is_empty() {
        let rows = report.slos.iter().map(|slo| {
            let found = slo.found.map_or_else(|| "nothing measured".to_owned(), |found| format!("{found:.3}"));
            vec![slo.objective.clone(), found, if slo.held { "held" } else { "missed" }.to_owned()]
        });
        html += &table("Objectives", &["objective", "found", ""], rows);
    }
    let counts = report.total.counts.numbers.all().into_iter().filter(|(_, count)| *count > 0);
    html += &table(
        "Counts of the measured phases",
        &["", ""],
        counts.map(|(name, count)| vec![name.replace('_', " "), count.to_string()]),
    );
    if !report.endings.is_empty() {
        html += &table(
            "Why connections ended",
            &["", ""],
            report.endings.iter().map(|(why, count)| vec![why.clone(), count.to_string()]),
        );
    }
    html
}

fn cost(report: &Report) -> String {
    let print = &report.footprint;
    let rows = [
        ("generator: process", print.generator_bytes_per_user),
        ("generator: kernel", print.generator_kernel_bytes_per_user),
        ("server: processes", print.server_bytes_per_user),
        ("server: kernel", print.server_kernel_bytes_per_user),
    ];
    let rows = rows.into_iter().map(|(name, bytes)| vec![name.to_owned(), format!("{bytes:.0}")]);
    let processes = report.processes.iter().map(|process| {
        let (name, pid) = (&process.name, process.pid);
        let figures = [process.cpu_seconds, process.rss_mib, process.sockets as f64, process.socket_kib]
            .map(|figure| format!("{figure:.1}"));
        [format!("{name} ({pid})")].into_iter().chain(figures).collect()
    });
    let heads = ["process", "CPU s", "MiB", "sockets", "kernel KiB for sockets"];
    let processes = table("Processes of the server, from the arrival of the population to the end", &heads, processes);
    format!("<h2>What it costs</h2>{processes}{}", table(&format!("Bytes each, {} users", print.users), &["", "bytes"], rows))
}

fn seconds(report: &Report) -> String {
    let step = report.series.len().div_ceil(ROWS_MAX).max(1);
    let rows = report.series.iter().step_by(step).map(|second| {
        let mut row = vec![second.second.to_string(), second.phase.clone()];
        row.extend(
            [second.intended, second.acknowledged, second.delivered, second.refused, second.connected, second.waiting]
                .map(|count| count.to_string()),
        );
        let ms = [
            second.acknowledged_p50_ms,
            second.acknowledged_p99_ms,
            second.delivered_p50_ms,
            second.delivered_p99_ms,
            second.delivered_max_ms,
        ];
        row.extend(ms.map(|ms| format!("{ms:.2}")));
        row.extend(
            [second.server_cpu_percent, second.server_rss_mib, second.generator_cpu_percent].map(|value| format!("{value:.0}")),
        );
        row
    });
    let heads = [
        "s",
        "phase",
        "intended",
        "acknowledged",
        "delivered",
        "refused",
        "connected",
        "waiting",
        "ack p50",
        "ack p99",
        "delivered p50",
        "delivered p99",
        "longest",
        "server CPU %",
        "server MiB",
        "generator CPU %",
    ];
    format!(
        "<h2>Second by second</h2><details><summary>The figures behind the charts</summary>{}</details>",
        table("Seconds", &heads, rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_827_696_000, "2000-02-29 12:34:56 UTC"),
            (1_795_177_231_993, "2026-11-20 12:20:31 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(ms), date);
        }
    }
}
