//! `docs/configuration.md`, from the table.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, Kind, SECTIONS, Value};

const HEAD: &str = "<!-- Generated from the table of keys in the gateway's `config`; a test says when it is stale. -->

# Configuration

`jono serve` reads, each over the one before: the defaults, a TOML file (`--config FILE`, or `JONO_CONFIG`), the environment, the
flags. `jono check-config [--config FILE]` prints what results and where each value came from, secrets masked, or everything that
is wrong, with exit code 2. An unknown key, in the file or as a `JONO_...` variable, is an error that names the nearest known one.
(Variables that container platforms make up for a service called `jono`, `JONO_SERVICE_...` and `JONO_PORT...`, are passed over.)

In variables and flags, lists are separated by commas and switches are `true` or `false`.

```toml
listen = [\"127.0.0.1:8080\", \"[::1]:8080\"]
data = \"/var/lib/jono\"

[store]
durability = \"second\"

[desk]
origins = [\"https://desk.example\"]
```
";

/// The document.
#[must_use]
pub fn document() -> String {
    let mut out = HEAD.to_owned();
    for (section, title) in SECTIONS {
        let name = if section.is_empty() { String::new() } else { format!(": `[{section}]`") };
        let _ = write!(out, "\n## {title}{name}\n\n| key | value | default | variable, flag | |\n|---|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| key.section() == *section) {
            let flag = key.flag().map(|flag| format!("<br>`{flag}`")).unwrap_or_default();
            let (name, value, default) = (key.name(), value(key), default(key));
            let _ = writeln!(out, "| `{name}` | {value} | {default} | `{}`{flag} | {} |", key.variable(), key.about);
        }
    }
    out
}

fn value(key: &Key) -> String {
    match key.kind {
        Kind::Text => "text".into(),
        Kind::Choice(of) => of.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        Kind::Switch => "`true`, `false`".into(),
        Kind::Number(min, max) => format!("{min} to {max} {}", key.unit).trim_end().to_owned(),
        Kind::Addresses => "text or list of texts, not empty".into(),
        Kind::Origins => "text or list of texts".into(),
    }
}

fn default(key: &Key) -> String {
    match &key.default {
        Value::Text(text) if text.is_empty() => "not set".into(),
        value => format!("`{value}`"),
    }
}

/// Is a generated document of the repository as generated now? With `JONO_WRITE_DOCS=1` it is written.
#[cfg(test)]
pub(crate) fn check_document(path: &str, generated: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("JONO_WRITE_DOCS").is_some() {
        std::fs::write(&file, generated).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == generated, "{path} is stale: run this test again with JONO_WRITE_DOCS=1 in the environment, and commit it");
}
