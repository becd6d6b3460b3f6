//! What is said: the mark of a message and made-up or recorded words behind it.

use std::path::Path;

use crate::corpus::{self, Script};
use crate::dice::Dice;
use crate::scenario::Texts as Keys;
use crate::target::{TAG_BYTES, Tag};

/// Conversations of a corpus that are used: enough to differ, few enough to be read at once.
const SCRIPTS_MAX: usize = 20_000;
/// Longest text, bytes: below the limit of every target.
const TEXT_BYTES_MAX: usize = 16_000;
/// Words of nobody, cut where the length asks for it.
const WORDS: &str = "It says that the parcel is at the depot since Monday and nobody there answers the telephone. \
    Could you look up where it is and tell me when I may expect it, since I am away from Thursday on? ";

/// See the module.
#[derive(Debug)]
pub(crate) struct Texts {
    bytes: usize,
    scripts: Vec<Script>,
}

impl Texts {
    /// Reads the corpus, if the scenario names one.
    pub fn new(keys: &Keys) -> Result<Self, String> {
        let mut scripts = Vec::new();
        if !keys.corpus.is_empty() {
            let read = corpus::read_file(Path::new(&keys.corpus), Some(SCRIPTS_MAX));
            scripts = read.map_err(|error| format!("{}: {error}", keys.corpus))?;
        }
        Ok(Self { bytes: keys.bytes as usize, scripts })
    }

    /// The recorded conversations; empty without a corpus.
    pub fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    /// Puts the whole text of a message into `text`: these recorded words, or others.
    pub fn write(&self, text: &mut String, tag: Tag, turn: Option<(usize, usize)>, dice: &mut Dice) {
        tag.begin(text);
        let recorded = match turn {
            Some((script, turn)) => self.scripts.get(script).and_then(|script| script.turns.get(turn)),
            None if self.scripts.is_empty() => None,
            None => {
                let script = &self.scripts[dice.below(self.scripts.len() as u64) as usize];
                script.turns.get(dice.below(script.turns.len() as u64) as usize)
            }
        };
        match recorded {
            Some(turn) => {
                let plain = turn.text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
                let mut bytes = TAG_BYTES;
                text.extend(plain.take_while(|c| {
                    bytes += c.len_utf8();
                    bytes <= TEXT_BYTES_MAX
                }));
            }
            None => {
                while text.len() < self.bytes {
                    let missing = self.bytes - text.len();
                    text.push_str(&WORDS[..missing.min(WORDS.len())]);
                }
            }
        }
        // Some targets trim texts, and all refuse empty ones.
        let words = text[TAG_BYTES..].trim_end().len();
        if words == 0 || TAG_BYTES + words < text.len() {
            text.truncate(TAG_BYTES + words);
            text.push('.');
        }
        Tag::seal(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Side, Writing};

    #[test]
    fn made_up_texts_have_the_length_and_the_mark() {
        let tag = Tag { run: 1, conversation: 2, number: 3, side: Side::Agent };
        for bytes in [40, 41, 44, 100, 1_000, 16_000] {
            let keys = Keys { bytes, corpus: String::new(), recorded_timing: false, speed: 1.0 };
            let mut text = String::new();
            Texts::new(&keys).unwrap().write(&mut text, tag, None, &mut Dice::new(1, 1));
            assert_eq!(text.len() as u64, bytes.max(41));
            assert_eq!(Tag::find(text.as_bytes(), Writing::Plain), Some((tag, true)));
            assert_eq!(text.trim_end(), text);
        }
    }
}
