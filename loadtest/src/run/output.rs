//! Writes the result: JSON, a page, and an interval log of HdrHistogram.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::measure::{Times, write_log};
use crate::report::Report;

/// Writes `NAME.json`, `NAME.html` and `NAME.hlog` into a directory, which is made. Answers their paths.
pub(crate) fn write(report: &Report, seconds: &[(Times, Times)], out: &Path) -> Result<[PathBuf; 3], String> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(out).map_err(|error| failed(out, error))?;
    let path = |ending: &str| out.join(format!("{}.{ending}", report.scenario.name));
    let began = UNIX_EPOCH + Duration::from_millis(report.began_at);
    let intervals = seconds.iter().enumerate().flat_map(|(second, (acknowledged, delivered))| {
        [("acknowledged", second as u64, acknowledged), ("delivered", second as u64, delivered)]
    });
    let log = write_log(began, intervals)?;
    let paths = [path("json"), path("html"), path("hlog")];
    let contents = [report.to_json().into_bytes(), report.to_html().into_bytes(), log];
    for (path, content) in paths.iter().zip(contents) {
        std::fs::write(path, content).map_err(|error| failed(path, error))?;
    }
    Ok(paths)
}
