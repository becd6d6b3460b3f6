//! Where settings come from: the defaults, then the file, the environment and the flags, each over
//! the one before. Finds everything that is wrong before it gives up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, Kind, SECTIONS, Value};

/// Largest configuration file, bytes: many times what every key with a comment takes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The source of what nobody has set.
const DEFAULT: &str = "default";

/// Variables with this beginning are settings.
const PREFIX: &str = "JONO_";

/// Variables that begin alike and are no settings: of the tests and tools, of the command line, and
/// those that container platforms set for every service called `jono`.
const NOT_SETTINGS: &[&str] = &["JONO_CONFIG", "JONO_WRITE_DOCS", "JONO_TEST_", "JONO_LOAD_", "JONO_SERVICE_", "JONO_PORT"];

/// A flag of the command line that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is written, `--data`.
    pub flag: &'static str,
    /// As it was given; lists are separated by commas.
    pub value: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and line, variable, or flag.
    pub source: String,
    /// What is wrong, and with which key.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.what)
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// A value for every key of the table, and where it came from.
#[derive(Clone)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, (Value, String)>,
}

impl Settings {
    fn get(&self, path: &str) -> &Value {
        &self.values.get(path).unwrap_or_else(|| panic!("`{path}` is in the table")).0
    }

    pub(super) fn text(&self, path: &str) -> &str {
        match self.get(path) {
            Value::Text(text) => text,
            Value::Switch(_) | Value::Number(_) | Value::List(_) => "",
        }
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        *self.get(path) == Value::Switch(true)
    }

    pub(super) fn number(&self, path: &str) -> u64 {
        match self.get(path) {
            Value::Number(number) => *number,
            Value::Text(_) | Value::Switch(_) | Value::List(_) => 0,
        }
    }

    pub(super) fn list(&self, path: &str) -> &[String] {
        match self.get(path) {
            Value::List(list) => list,
            Value::Text(_) | Value::Switch(_) | Value::Number(_) => &[],
        }
    }

    /// Nobody has set it.
    pub(super) fn is_default(&self, path: &str) -> bool {
        self.values.get(path).is_some_and(|(_, source)| source == DEFAULT)
    }

    /// Something wrong with the value of a key, wherever that came from.
    pub(super) fn problem(&self, path: &'static str, what: String) -> Problem {
        let source = self.values.get(path).map_or_else(String::new, |(_, source)| source.clone());
        Problem { source, what: format!("`{path}`: {what}") }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets masked here as well.
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (section, _) in SECTIONS {
            if !section.is_empty() {
                writeln!(f, "\n[{section}]")?;
            }
            for key in KEYS.iter().filter(|key| key.section() == *section) {
                let (value, source) = &self.values[key.path];
                if *value == Value::Text(String::new()) {
                    writeln!(f, "# {} is not set", key.name())?;
                    continue;
                }
                let shown = match value {
                    Value::Text(_) if key.secret => "\"********\"".to_owned(),
                    Value::Text(_) | Value::Switch(_) | Value::Number(_) | Value::List(_) => value.to_string(),
                };
                writeln!(f, "{} = {shown} # {source}", key.name())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self {
            Self::Text(text) => toml::Value::String(text.clone()),
            Self::Switch(on) => toml::Value::Boolean(*on),
            Self::Number(number) => toml::Value::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
            Self::List(list) => toml::Value::Array(list.iter().cloned().map(toml::Value::String).collect()),
        };
        value.fmt(f)
    }
}

/// All sources, merged; and what was wrong with them.
pub(super) fn read(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[Flag],
) -> (Settings, Vec<Problem>) {
    let defaults = KEYS.iter().map(|key| (key.path, (key.default.clone(), DEFAULT.to_owned())));
    let mut settings = Settings { values: defaults.collect() };
    let mut problems = Vec::new();
    if let Some(file) = file {
        read_file(file, &mut settings, &mut problems);
    }
    read_environment(environment, &mut settings, &mut problems);
    for flag in flags {
        let key = KEYS.iter().find(|key| key.flag() == Some(flag.flag));
        match key.ok_or_else(|| "sets no key".to_owned()).and_then(|key| Ok((key, parse(key, &flag.value)?))) {
            Ok((key, value)) => {
                settings.values.insert(key.path, (value, flag.flag.to_owned()));
            }
            Err(what) => problems.push(Problem { source: flag.flag.to_owned(), what }),
        }
    }
    (settings, problems)
}

fn read_environment(environment: impl Iterator<Item = (String, String)>, settings: &mut Settings, problems: &mut Vec<Problem>) {
    let mut variables: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        if NOT_SETTINGS.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
            let known = KEYS.iter().map(Key::variable);
            let what = format!("no setting has this variable{}", suggestion(&name, known));
            problems.push(Problem { source: name, what });
            continue;
        };
        match parse(key, &text) {
            Ok(value) => {
                settings.values.insert(key.path, (value, name));
            }
            Err(what) => problems.push(Problem { source: name, what }),
        }
    }
}

fn read_file(file: &Path, settings: &mut Settings, problems: &mut Vec<Problem>) {
    let name = file.display().to_string();
    let text = match std::fs::metadata(file) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => Err(format!("is over {FILE_BYTES_MAX} bytes")),
        Ok(_) => std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    let text = match text {
        Ok(text) => text,
        Err(what) => return problems.push(Problem { source: name, what }),
    };
    let at = |offset: usize| format!("{name}:{}", 1 + text[..offset.min(text.len())].matches('\n').count());
    let table = match DeTable::parse(&text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let source = error.span().map_or_else(|| name.clone(), |span| at(span.start));
            return problems.push(Problem { source, what: format!("not TOML: {}", error.message()) });
        }
    };
    let mut set = |section: &str, key: &str, offset: usize, value: &DeValue<'_>| match judge_entry(section, key, value) {
        Ok((key, value)) => {
            settings.values.insert(key.path, (value, at(offset)));
        }
        Err(what) => problems.push(Problem { source: at(offset), what }),
    };
    for (key, value) in &table {
        match value.get_ref() {
            DeValue::Table(entries) if is_section(key.get_ref()) => {
                for (inner, value) in entries {
                    set(key.get_ref(), inner.get_ref(), inner.span().start, value.get_ref());
                }
            }
            value => set("", key.get_ref(), key.span().start, value),
        }
    }
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// The key that an entry of a file means, and its value.
fn judge_entry(section: &str, name: &str, value: &DeValue<'_>) -> Result<(&'static Key, Value), String> {
    if let Some(key) = KEYS.iter().find(|key| key.section() == section && key.name() == name) {
        return Ok((key, read_value(key, value)?));
    }
    if section.is_empty() && matches!(value, DeValue::Table(_)) {
        let known = SECTIONS.iter().map(|(section, _)| (*section).to_owned()).filter(|section| !section.is_empty());
        return Err(format!("unknown section [{name}]{}", suggestion(name, known)));
    }
    let place = if section.is_empty() { "outside of sections".to_owned() } else { format!("in [{section}]") };
    // The same section first: what is misspelt there is meant there.
    let here = nearest(name, KEYS.iter().filter(|key| key.section() == section).map(|key| key.name().to_owned()));
    let meant = here.map(|near| format!("`{near}`")).or_else(|| {
        let near = nearest(name, KEYS.iter().map(|key| key.name().to_owned()))?;
        let key = KEYS.iter().find(|key| key.name() == near)?;
        Some(if key.section().is_empty() {
            format!("`{near}`, which stands before all sections")
        } else {
            format!("`{near}` in [{}]", key.section())
        })
    });
    let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    Err(format!("unknown key `{name}` {place}{meant}"))
}

fn read_value(key: &Key, value: &DeValue<'_>) -> Result<Value, String> {
    match (key.kind, value) {
        (Kind::Text | Kind::Choice(_) | Kind::Addresses | Kind::Origins, DeValue::String(text)) => {
            judge(key, one(key, text.as_ref()))
        }
        (Kind::Addresses | Kind::Origins, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(wrong_type(key, other.type_str())),
            });
            judge(key, Value::List(texts.collect::<Result<_, _>>()?))
        }
        (Kind::Switch, DeValue::Boolean(on)) => Ok(Value::Switch(*on)),
        (Kind::Number(..), DeValue::Integer(digits)) => {
            let number = u64::from_str_radix(digits.as_str(), digits.radix());
            judge(key, Value::Number(number.map_err(|_| out_of_range(key, digits.as_str()))?))
        }
        (_, other) => Err(wrong_type(key, other.type_str())),
    }
}

/// A value as a variable or a flag gives it.
fn parse(key: &Key, text: &str) -> Result<Value, String> {
    let value = match key.kind {
        Kind::Text | Kind::Choice(_) => one(key, text),
        Kind::Addresses | Kind::Origins => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::List(parts.map(str::to_owned).collect())
        }
        Kind::Switch => match text {
            "true" | "1" => Value::Switch(true),
            "false" | "0" => Value::Switch(false),
            other => return Err(wrong_type(key, &format!("`{other}`"))),
        },
        Kind::Number(..) => Value::Number(text.trim().parse().map_err(|_| out_of_range(key, text))?),
    };
    judge(key, value)
}

fn one(key: &Key, text: &str) -> Value {
    match key.kind {
        Kind::Addresses | Kind::Origins => Value::List(vec![text.to_owned()]),
        Kind::Text | Kind::Choice(_) | Kind::Switch | Kind::Number(..) => Value::Text(text.to_owned()),
    }
}

fn judge(key: &Key, value: Value) -> Result<Value, String> {
    let path = key.path;
    match (key.kind, &value) {
        (Kind::Text, Value::Text(text)) if text.trim().is_empty() => {
            return Err(format!("`{path}` is empty; leave it out to have it not set"));
        }
        (Kind::Choice(of), Value::Text(text)) if !of.contains(&text.as_str()) => {
            let near = suggestion(text, of.iter().map(|name| (*name).to_owned()));
            return Err(format!("`{path}` is `{text}`, but must be one of {}{near}", of.join(", ")));
        }
        (Kind::Number(min, max), Value::Number(number)) if !(min..=max).contains(number) => {
            return Err(out_of_range(key, &number.to_string()));
        }
        (Kind::Addresses, Value::List(list)) => {
            if list.is_empty() {
                return Err(format!("`{path}` names no address"));
            }
            if let Some(bad) = list.iter().find(|text| text.parse::<std::net::SocketAddr>().is_err()) {
                return Err(format!("`{path}` is `{bad}`, but must be IP:PORT, such as 127.0.0.1:8080 or [::1]:8080"));
            }
        }
        (Kind::Origins, Value::List(list)) => {
            if let Some(bad) = list.iter().find(|text| *text != "*" && !is_origin(text)) {
                return Err(format!(
                    "`{path}` is `{bad}`, but must be scheme://host[:port] without a path, such as https://desk.example"
                ));
            }
        }
        _ => {}
    }
    Ok(value)
}

/// As browsers send it: no path, no trailing slash, lower case.
pub(crate) fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !b"/?#@\\*,".contains(&b))
    })
}

fn wrong_type(key: &Key, found: &str) -> String {
    let wanted = match key.kind {
        Kind::Text | Kind::Choice(_) => "a text",
        Kind::Switch => "true or false",
        Kind::Number(..) => "a whole number",
        Kind::Addresses | Kind::Origins => "a text or a list of texts",
    };
    format!("`{}` must be {wanted}, not {found}", key.path)
}

fn out_of_range(key: &Key, found: &str) -> String {
    let (min, max) = match key.kind {
        Kind::Number(min, max) => (min, max),
        Kind::Text | Kind::Choice(_) | Kind::Switch | Kind::Addresses | Kind::Origins => (0, 0),
    };
    let unit = if key.unit.is_empty() { String::new() } else { format!(" ({})", key.unit) };
    format!("`{}` is {found}, but must be a whole number from {min} to {max}{unit}", key.path)
}

fn suggestion(name: &str, known: impl Iterator<Item = String>) -> String {
    nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// The known name that a misspelt one is closest to, if any is close: a third of its letters.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let wanted = name.to_lowercase();
    let best = known.map(|near| (strsim::damerau_levenshtein(&wanted, &near.to_lowercase()), near)).min()?;
    (best.0 <= (best.1.len() / 3).max(1)).then_some(best.1)
}
