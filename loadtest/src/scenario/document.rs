//! Reads the text of a scenario into checked values, each with its place: unknown keys and wrong values are found here, all at once.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind, SECTIONS, section};

/// Most tables of one kind: a scenario is written by hand.
const MANY_MAX: usize = 100;

/// Something that is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1; 0 if it is no line's fault.
    pub line: usize,
    /// The key, with its table; empty if it is no key's fault.
    pub key: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.is_empty()) {
            (0, true) => f.write_str(&self.why),
            (0, false) => write!(f, "{}: {}", self.key, self.why),
            (line, true) => write!(f, "line {line}: {}", self.why),
            (line, false) => write!(f, "line {line}: {}: {}", self.key, self.why),
        }
    }
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Text(String),
    Switch(bool),
    Texts(Vec<String>),
    Free(BTreeMap<String, String>),
}

/// One table of values, each with its line.
pub(super) type Values = BTreeMap<&'static str, (Value, usize)>;

/// A scenario whose keys are known and whose values are of the right kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub single: BTreeMap<&'static str, Values>,
    pub many: BTreeMap<&'static str, Vec<(Values, usize)>>,
}

/// Reads a whole text.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Document {
    let mut document = Document::default();
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            problems.push(Problem { line, key: String::new(), why: error.message().to_owned() });
            return document;
        }
    };
    let mut reader = Reader { text, problems };
    for (name, value) in table.get_ref() {
        let line = line_of(text, name.span().start);
        let known = SECTIONS.iter().find(|section| section.name == name.get_ref().as_ref() && !section.name.is_empty());
        match (known, value.get_ref()) {
            (None, _) => reader.key(SECTIONS[0].keys, document.single.entry("").or_default(), "", (name.get_ref(), line), value),
            (Some(section), DeValue::Table(table)) if !section.many => {
                let values = document.single.entry(section.name).or_default();
                reader.table(section.keys, values, section.name, table);
            }
            (Some(section), DeValue::Array(array)) if section.many && array.len() <= MANY_MAX => {
                for (index, entry) in array.iter().enumerate() {
                    let path = format!("{}[{}]", section.name, index + 1);
                    let at = line_of(text, entry.span().start);
                    let mut values = Values::new();
                    match entry.get_ref() {
                        DeValue::Table(table) => reader.table(section.keys, &mut values, &path, table),
                        other => reader.wrong(at, &path, format!("a table, not a {}", other.type_str())),
                    }
                    document.many.entry(section.name).or_default().push((values, at));
                }
            }
            (Some(section), _) if section.many => {
                reader.wrong(line, section.name, format!("written as [[{}]], at most {MANY_MAX} times", section.name));
            }
            (Some(section), _) => reader.wrong(line, section.name, format!("written as [{}]", section.name)),
        }
    }
    document
}

/// Puts `key=value` of the command line over what was read. Phases and objectives are named by `name`, `kind`, `metric` or number.
pub(super) fn set(document: &mut Document, assignment: &str, problems: &mut Vec<Problem>) {
    let wrong = |why: String| Problem { line: 0, key: format!("--set {assignment}"), why };
    let Some((path, value)) = assignment.split_once('=') else {
        problems.push(wrong("written as key=value".to_owned()));
        return;
    };
    // What is no TOML value is taken as a text, so that quotes can be left out.
    let text = format!("value = {value}");
    let quoted = format!("value = {}", toml::Value::String(value.trim().to_owned()));
    let parsed = DeTable::parse(&text).or_else(|_| DeTable::parse(&quoted));
    let Some(value) = parsed.as_ref().ok().and_then(|table| table.get_ref().get("value")) else {
        problems.push(wrong("no value that can be read".to_owned()));
        return;
    };
    let mut parts = path.trim().split('.');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let mut reader = Reader { text: "", problems };
    match (section(first).filter(|section| !section.name.is_empty()), &rest[..]) {
        (None, []) => reader.key(SECTIONS[0].keys, document.single.entry("").or_default(), "", (first, 0), value),
        (Some(known), [name]) if !known.many => {
            reader.key(known.keys, document.single.entry(known.name).or_default(), known.name, (name, 0), value);
        }
        (Some(known), [which, name]) if known.many => {
            let entries = document.many.entry(known.name).or_default();
            let mut found = 0;
            for (index, (values, _)) in entries.iter_mut().enumerate() {
                let named = |key| matches!(values.get(key), Some((Value::Text(text), _)) if text == which);
                if *which == "*"
                    || (index + 1).to_string() == *which
                    || named("name")
                    || (!values.contains_key("name") && named("kind"))
                    || named("metric")
                {
                    found += 1;
                    reader.key(known.keys, values, known.name, (name, 0), value);
                }
            }
            if found == 0 {
                reader.problems.push(wrong(format!("there is no {first} {which:?}")));
            }
        }
        _ => reader.problems.push(wrong("written as KEY=.., SECTION.KEY=.., phase.NAME.KEY=.. or slo.METRIC.KEY=..".to_owned())),
    }
}

struct Reader<'a> {
    text: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, line: usize, key: &str, right: String) {
        self.problems.push(Problem { line, key: key.to_owned(), why: format!("must be {right}") });
    }

    fn table(&mut self, keys: &'static [Key], values: &mut Values, path: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = line_of(self.text, name.span().start);
            self.key(keys, values, path, (name.get_ref(), line), value);
        }
    }

    fn key(
        &mut self,
        keys: &'static [Key],
        values: &mut Values,
        path: &str,
        (name, line): (&str, usize),
        value: &Spanned<DeValue<'_>>,
    ) {
        let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            let why = format!("no such key{}", suggestion(name, path, keys));
            self.problems.push(Problem { line, key: full, why });
            return;
        };
        match value_of(key.kind, value.get_ref()) {
            Some(value) => {
                values.insert(key.name, (value, line));
            }
            None => self.wrong(line, &full, key.kind.in_words()),
        }
    }
}

fn value_of(kind: Kind, value: &DeValue<'_>) -> Option<Value> {
    let number = match value {
        DeValue::Integer(number) => number.as_str().replace('_', "").parse().ok(),
        DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
        _ => None,
    };
    match (kind, value) {
        (Kind::Count(least, most), DeValue::Integer(_)) => {
            let number = number?;
            (number >= least as f64 && number <= most as f64).then_some(Value::Number(number))
        }
        (Kind::Real(least, most), _) => number.filter(|number| (least..=most).contains(number)).map(Value::Number),
        (Kind::Text, DeValue::String(text)) => Some(Value::Text(text.to_string())),
        (Kind::Choice(words), DeValue::String(text)) => words.contains(&text.as_ref()).then(|| Value::Text(text.to_string())),
        (Kind::Switch, DeValue::Boolean(on)) => Some(Value::Switch(*on)),
        (Kind::Texts, DeValue::Array(list)) => {
            list.iter().map(|text| text.get_ref().as_str().map(str::to_owned)).collect::<Option<_>>().map(Value::Texts)
        }
        (Kind::Free, DeValue::Table(table)) => table
            .iter()
            .map(|(name, value)| Some((name.get_ref().to_string(), value.get_ref().as_str()?.to_owned())))
            .collect::<Option<_>>()
            .map(Value::Free),
        _ => None,
    }
}

/// The nearest known key: of this table, or of another one in which it stands.
fn suggestion(name: &str, path: &str, keys: &[Key]) -> String {
    let near = |known: &str| strsim::damerau_levenshtein(known, name);
    let best = keys.iter().map(|key| (near(key.name), key.name)).min();
    if let Some((distance, known)) = best
        && distance <= 1 + name.len() / 4
    {
        return format!("; did you mean {known:?}?");
    }
    let here = path.split('[').next().unwrap_or_default();
    let elsewhere = SECTIONS.iter().filter(|section| section.name != here);
    if let Some(section) = elsewhere.clone().find(|section| section.keys.iter().any(|key| key.name == name)) {
        let place =
            if section.name.is_empty() { "above all tables".to_owned() } else { format!("in the table {:?}", section.name) };
        return format!("; it stands {place}");
    }
    if here.is_empty()
        && let Some((distance, known)) = elsewhere.map(|section| (near(section.name), section.name)).min()
        && distance <= 1 + name.len() / 4
    {
        return format!("; did you mean the table {known:?}?");
    }
    let all: Vec<&str> = keys.iter().map(|key| key.name).collect();
    format!("; there are {}", all.join(", "))
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
