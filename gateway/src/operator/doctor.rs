//! `jono doctor`: is Redis, and is this machine, fit for Jono? One line a fact, with what to do about it.

use std::fmt::Write as _;

use jono_store::{Finding, Verdict, examine};

use crate::config::Config;
use crate::server::{Failure, descriptors_max, descriptors_wanted};

/// The lines, and whether nothing is bad.
///
/// # Errors
/// [`Failure`], when there is no Redis, or none of its servers answers.
pub async fn doctor(config: &Config) -> Result<(String, bool), Failure> {
    let options = super::redis_of(config)?;
    let mut findings = examine(&options).await.map_err(|error| Failure::Running(error.to_string()))?;
    findings.push(descriptors(descriptors_max(), descriptors_wanted(config)));
    Ok(table(&findings))
}

fn descriptors(have: Option<u64>, wanted: u64) -> Finding {
    let enough = have.is_none_or(|have| have >= wanted);
    Finding {
        server: "this machine".to_owned(),
        subject: "file descriptors",
        value: have.map_or_else(|| "unlimited".to_owned(), |have| have.to_string()),
        verdict: if enough { Verdict::Ok } else { Verdict::Warn },
        fix: match enough {
            true => String::new(),
            false => format!(
                "a gateway with `sockets.sockets_max` as it is set needs {wanted}: LimitNOFILE={wanted} in its unit, or ulimit -Hn {wanted}"
            ),
        },
    }
}

fn table(findings: &[Finding]) -> (String, bool) {
    let mut text = String::new();
    let width = |of: fn(&Finding) -> usize| findings.iter().map(of).max().unwrap_or(0);
    let (servers, subjects) = (width(|it| it.server.chars().count()), width(|it| it.subject.chars().count()));
    for Finding { server, subject, value, verdict, fix } in findings {
        let mark = match verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Bad => "BAD ",
        };
        let fix = if fix.is_empty() { String::new() } else { format!(" -> {fix}") };
        let _ = writeln!(text, "{mark}  {server:servers$}  {subject:subjects$}  {value}{fix}");
    }
    let count = |wanted| findings.iter().filter(|finding| finding.verdict == wanted).count();
    let (bad, warned) = (count(Verdict::Bad), count(Verdict::Warn));
    let _ = match (bad, warned) {
        (0, 0) => writeln!(text, "\nall is as it should be"),
        (0, warned) => writeln!(text, "\nfit; {warned} could be better"),
        (bad, _) => writeln!(text, "\nNOT FIT: {bad} must be mended"),
    };
    (text, bad == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_a_line_with_its_remedy() {
        let (text, is_fit) = table(&[descriptors(Some(1024), 4096), descriptors(None, 4096)]);
        assert!(is_fit && text.lines().count() == 4, "{text}");
        assert!(
            text.starts_with("warn  this machine  file descriptors  1024 -> ") && text.contains("LimitNOFILE=4096"),
            "{text}"
        );
        let bad = Finding { verdict: Verdict::Bad, ..descriptors(None, 1) };
        assert!(!table(&[bad]).1);
    }
}
