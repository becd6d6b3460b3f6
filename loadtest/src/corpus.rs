//! Real conversations: one JSON object a line, `{"id", "source", "start", "turns": [{"at", "from", "text"}]}`.
//!
//! `from` is `customer`, who always begins, or `agent:N`; `at` is seconds since the conversation's
//! first message, `start` seconds within its source.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

/// Longest line that is read: ten times the longest known one.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Most conversations that are read: they are all kept in memory.
const SCRIPTS_MAX: usize = 100_000;

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// Who began.
    Customer,
    /// One of those who answered: 0 for the first to speak, then 1, whatever their numbers in the file.
    Agent(usize),
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Seconds since the first one.
    pub at_s: f64,
    /// Whose it is.
    pub speaker: Speaker,
    /// The text, byte for byte.
    pub text: String,
}

/// One conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Its name in the corpus.
    pub id: String,
    /// Which recording it comes from.
    pub source: String,
    /// Seconds since that recording's begin.
    pub start_s: f64,
    /// At least one, the first is the customer's.
    pub turns: Vec<Turn>,
}

/// The corpus cannot be used.
#[derive(Debug)]
pub enum CorpusError {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// A line is not a conversation.
    BadLine {
        /// 1-based.
        line: usize,
        /// Why not.
        why: String,
    },
    /// There is nothing in it.
    Empty,
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read the corpus: {error}"),
            Self::BadLine { line, why } => write!(f, "corpus line {line}: {why}"),
            Self::Empty => f.write_str("the corpus holds no conversation"),
        }
    }
}

impl std::error::Error for CorpusError {}

/// The first `conversations_max` conversations of a file, or all.
///
/// # Errors
/// [`CorpusError`].
pub fn read_file(path: &Path, conversations_max: Option<usize>) -> Result<Vec<Script>, CorpusError> {
    let file = File::open(path).map_err(CorpusError::Unreadable)?;
    read(BufReader::new(file), conversations_max)
}

/// As [`read_file`], from anything.
///
/// # Errors
/// [`CorpusError`].
pub fn read(lines: impl BufRead, conversations_max: Option<usize>) -> Result<Vec<Script>, CorpusError> {
    let mut scripts = Vec::new();
    for (index, line) in lines.lines().enumerate() {
        if scripts.len() >= conversations_max.unwrap_or(SCRIPTS_MAX).min(SCRIPTS_MAX) {
            break;
        }
        let number = index + 1;
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => CorpusError::BadLine { line: number, why: "not UTF-8".to_owned() },
            _ => CorpusError::Unreadable(error),
        })?;
        if line.trim().is_empty() {
            continue;
        }
        scripts.push(parse(&line).map_err(|why| CorpusError::BadLine { line: number, why })?);
    }
    if scripts.is_empty() { Err(CorpusError::Empty) } else { Ok(scripts) }
}

#[derive(Deserialize)]
struct RawScript {
    id: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    start: f64,
    turns: Vec<RawTurn>,
}

#[derive(Deserialize)]
struct RawTurn {
    at: f64,
    from: String,
    text: String,
}

fn parse(line: &str) -> Result<Script, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
    }
    let raw: RawScript = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if raw.turns.first().is_none_or(|turn| turn.from != "customer") {
        return Err("the first turn is not the customer's".to_owned());
    }
    let mut agents: Vec<String> = Vec::new();
    let mut turns = Vec::with_capacity(raw.turns.len());
    for (index, turn) in raw.turns.into_iter().enumerate() {
        if turn.text.trim().is_empty() {
            return Err(format!("turn {} says nothing", index + 1));
        }
        let speaker = match turn.from.as_str() {
            "customer" => Speaker::Customer,
            name if name.starts_with("agent:") => {
                let known = agents.iter().position(|agent| agent == name);
                Speaker::Agent(known.unwrap_or_else(|| {
                    agents.push(name.to_owned());
                    agents.len() - 1
                }))
            }
            name => return Err(format!("turn {}: neither customer nor agent: {name:?}", index + 1)),
        };
        turns.push(Turn { at_s: turn.at, speaker, text: turn.text });
    }
    Ok(Script { id: raw.id, source: raw.source, start_s: raw.start, turns })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"a","source":"s","start":9,"turns":[{"at":0,"from":"customer","text":"x"},{"at":3,"from":"agent:7","text":" y\t"},{"at":4,"from":"agent:2","text":"z"},{"at":5,"from":"agent:7","text":"w"}]}"#;

    #[test]
    fn agents_are_numbered_as_they_appear_and_texts_stay_as_they_are() {
        let scripts = read(format!("{GOOD}\n\n{GOOD}\n").as_bytes(), None).unwrap();
        assert_eq!(scripts.len(), 2);
        let speakers: Vec<_> = scripts[0].turns.iter().map(|turn| turn.speaker).collect();
        assert_eq!(speakers, [Speaker::Customer, Speaker::Agent(0), Speaker::Agent(1), Speaker::Agent(0)]);
        assert_eq!(scripts[0].turns[1].text, " y\t");
        assert_eq!(read(format!("{GOOD}\n{GOOD}\n").as_bytes(), Some(1)).unwrap().len(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = |line: &str| read(format!("{GOOD}\n{line}\n").as_bytes(), None).unwrap_err().to_string();
        assert!(bad("{").starts_with("corpus line 2: "));
        assert!(bad(r#"{"id":"a","turns":[]}"#).contains("customer's"));
        assert!(bad(r#"{"id":"a","turns":[{"at":0,"from":"customer","text":"  "}]}"#).contains("says nothing"));
        assert!(
            bad(r#"{"id":"a","turns":[{"at":0,"from":"customer","text":"x"},{"at":0,"from":"cat","text":"x"}]}"#).contains("cat")
        );
        assert!(matches!(read(&b"\n"[..], None), Err(CorpusError::Empty)));
    }
}
