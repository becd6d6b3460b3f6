//! What `[log]` leads to. The only place that names `tracing-subscriber`.

use tracing_subscriber::EnvFilter;

use super::Config;

/// Is this a level, or a list of parts and their levels? Says why not.
pub(super) fn check(level: &str) -> Result<(), String> {
    filter(level).map(|_| ())
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A bare word that is no level would be taken for a part's name, and silence everything else.
    if let Some(bad) = level.split(',').map(str::trim).find(|part| !part.contains('=') && !LEVELS.contains(part)) {
        return Err(format!("`{bad}` is no level; levels are {}", LEVELS.join(", ")));
    }
    // What it says at every start is in the start line already; a part named in `level` goes over this.
    EnvFilter::try_new(format!("actix_server=warn,{level}")).map_err(|error| error.to_string())
}

/// Log lines go to the standard error output from now on. A second call changes nothing.
pub fn start(config: &Config) {
    let Ok(filter) = filter(&config.log_level) else { return };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a subscriber is there already.
    let _ = if config.log_json {
        lines.json().flatten_event(true).try_init()
    } else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        lines.with_ansi(colours).try_init()
    };
}
