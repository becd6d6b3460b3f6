//! Text that came from outside, with its limits already checked.

use std::collections::BTreeMap;

use crate::limits::{CANNED_BYTES_MAX, CANNED_MAX, NAME_BYTES_MAX, PREVIEW_CHARS, TEXT_BYTES_MAX, WORD_BYTES_MAX};
use crate::reply::Refusal;

/// A message, note or canned text: not empty, at most [`TEXT_BYTES_MAX`], line breaks, tabs, backspaces and form
/// feeds allowed, other characters below U+0020 not.
///
/// # Errors
/// [`Refusal::TooLarge`] and [`Refusal::Invalid`].
pub fn check_text(text: &str) -> Result<(), Refusal> {
    check(text, TEXT_BYTES_MAX, "text")?;
    // Real texts hold these five, and JSON writes each in two bytes. The others take six: a message of
    // nothing else would burden its readers' connections.
    if text.chars().any(|c| c < ' ' && !matches!(c, '\u{8}' | '\t' | '\n' | '\u{c}' | '\r')) {
        return Err(Refusal::invalid("text"));
    }
    Ok(())
}

/// The name of a person or thing: one line, at most [`NAME_BYTES_MAX`].
///
/// # Errors
/// [`Refusal::TooLarge`] and [`Refusal::Invalid`].
pub fn check_name(name: &str) -> Result<(), Refusal> {
    check(name, NAME_BYTES_MAX, "name")?;
    if name.chars().any(char::is_control) {
        return Err(Refusal::invalid("name"));
    }
    Ok(())
}

/// A tag, keyword or key: no white space, at most [`WORD_BYTES_MAX`].
///
/// # Errors
/// [`Refusal::TooLarge`] and [`Refusal::Invalid`].
pub fn check_word(word: &str, field: &'static str) -> Result<(), Refusal> {
    check(word, WORD_BYTES_MAX, field)?;
    if word.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Refusal::invalid(field));
    }
    Ok(())
}

/// One more canned message, or another text for one, beside those that there are.
///
/// # Errors
/// [`Refusal::TooLarge`] and [`Refusal::Invalid`].
pub fn check_canned(there_are: &BTreeMap<String, String>, keyword: &str, text: &str) -> Result<(), Refusal> {
    check_word(keyword, "keyword")?;
    check_text(text)?;
    if !there_are.contains_key(keyword) && there_are.len() >= CANNED_MAX {
        return Err(Refusal::TooLarge { max: CANNED_MAX as u64 });
    }
    let others = there_are.iter().filter(|(other, _)| *other != keyword);
    if others.map(|(_, text)| text.len()).sum::<usize>() + text.len() > CANNED_BYTES_MAX {
        return Err(Refusal::TooLarge { max: CANNED_BYTES_MAX as u64 });
    }
    Ok(())
}

fn check(text: &str, bytes_max: usize, field: &'static str) -> Result<(), Refusal> {
    if text.len() > bytes_max {
        return Err(Refusal::TooLarge { max: bytes_max as u64 });
    }
    if text.trim().is_empty() {
        return Err(Refusal::invalid(field));
    }
    Ok(())
}

/// The start of a message as a list row shows it: one line, at most [`PREVIEW_CHARS`] characters.
#[must_use]
pub fn preview(text: &str) -> String {
    let mut out = String::with_capacity(PREVIEW_CHARS);
    for (count, c) in text.chars().enumerate() {
        if count == PREVIEW_CHARS {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
