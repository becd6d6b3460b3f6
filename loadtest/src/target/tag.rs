//! The mark at the beginning of every text: which run, conversation, side and number it is, and a sum of the text. By it loss, duplicates,
//! disorder, foreign and altered messages are counted exactly, without anybody remembering what was written.

use std::borrow::Cow;

/// Bytes of a written mark, the space behind it included. No text is shorter.
pub const TAG_BYTES: usize = 40;
/// How far into a frame's part the mark is looked for.
const LOOKED_AT_BYTES: usize = 4096;
/// Where the sum stands within the mark: eight digits.
const SUM_AT: usize = 30;

/// How a protocol writes texts into its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// As they are, to the end.
    Plain,
    /// As a JSON string.
    Json,
    /// As the content of an XML element.
    Xml,
}

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The customer's message.
    Customer,
    /// The agent's message.
    Agent,
    /// The agent's note.
    Note,
}

/// Which message a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The run, chosen anew each time: messages of other runs are foreign.
    pub run: u32,
    /// The conversation.
    pub conversation: u32,
    /// 0, 1, 2, ... of this side of this conversation.
    pub number: u32,
    /// Who wrote it.
    pub side: Side,
}

impl Tag {
    /// Makes `text` begin with the mark: 40 bytes of letters, digits, `~`, `.` and a space, which need no escaping in JSON or XML. Words may
    /// follow; [`seal`](Self::seal) ends it.
    pub fn begin(&self, text: &mut String) {
        text.clear();
        text.push('~');
        hex(text, self.run);
        text.push('.');
        hex(text, self.conversation);
        text.push('.');
        hex(text, self.number);
        text.push('.');
        text.push(match self.side {
            Side::Customer => 'c',
            Side::Agent => 'a',
            Side::Note => 'n',
        });
        text.push_str(".00000000~ ");
    }

    /// Puts the sum of the whole text into its mark.
    pub fn seal(text: &mut String) {
        let sum = sum(&text.as_bytes()[..SUM_AT], &text.as_bytes()[SUM_AT + 8..]);
        let mut digits = String::with_capacity(8);
        hex(&mut digits, sum);
        text.replace_range(SUM_AT..SUM_AT + 8, &digits);
    }

    /// The first mark in the first 4 KiB, and whether the text that it begins is what was written.
    #[must_use]
    pub fn find(bytes: &[u8], writing: Writing) -> Option<(Self, bool)> {
        let mut from = 0;
        loop {
            let looked_at = bytes.get(from..bytes.len().min(LOOKED_AT_BYTES))?;
            let at = from + looked_at.iter().position(|byte| *byte == b'~')?;
            from = at + 1;
            if let Some(tag) = Self::read(&bytes[from..]) {
                return Some((tag, is_intact(&bytes[at..], writing)));
            }
        }
    }

    /// Reads what stands behind the first `~`.
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..38)?;
        if [bytes[8], bytes[17], bytes[26], bytes[28], bytes[37]] != *b"....~" {
            return None;
        }
        let side = match bytes[27] {
            b'c' => Side::Customer,
            b'a' => Side::Agent,
            b'n' => Side::Note,
            _ => return None,
        };
        Some(Self { run: number(&bytes[..8])?, conversation: number(&bytes[9..17])?, number: number(&bytes[18..26])?, side })
    }
}

/// Compares a text with the sum in its mark, at which `bytes` begin.
fn is_intact(bytes: &[u8], writing: Writing) -> bool {
    let (before, rest) = bytes.split_at(SUM_AT);
    let (digits, behind) = rest.split_at(8);
    let text = match writing {
        Writing::Plain => Some(Cow::Borrowed(behind)),
        Writing::Json => json_text(behind),
        Writing::Xml => xml_text(behind),
    };
    text.is_some_and(|text| number(digits) == Some(sum(before, &text)))
}

/// FNV-1a of 32 bits: any single changed byte shows, and of other changes all but one in four thousand million.
fn sum(before: &[u8], behind: &[u8]) -> u32 {
    before.iter().chain(behind).fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The rest of a JSON string.
fn json_text(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut at = 0;
    let mut escapes = false;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                escapes = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    if !escapes {
        return Some(Cow::Borrowed(&bytes[..at]));
    }
    let string = [b"\"", &bytes[..=at]].concat();
    serde_json::from_slice::<String>(&string).ok().map(|text| Cow::Owned(text.into_bytes()))
}

/// The rest of the text of an XML element.
fn xml_text(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = &bytes[..bytes.iter().position(|byte| *byte == b'<')?];
    if !text.contains(&b'&') {
        return Some(Cow::Borrowed(text));
    }
    let mut parts = std::str::from_utf8(text).ok()?.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            name => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
                (Some(digits), _) => char::from_u32(u32::from_str_radix(digits, 16).ok()?)?,
                (None, Some(digits)) => char::from_u32(digits.parse().ok()?)?,
                (None, None) => return None,
            },
        });
        plain.push_str(rest);
    }
    Some(Cow::Owned(plain.into_bytes()))
}

fn hex(text: &mut String, number: u32) {
    for shift in (0..8).rev() {
        let digit = (number >> (shift * 4)) & 15;
        text.push(char::from_digit(digit, 16).expect("four bits are one hexadecimal digit"));
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { run: 0xdead_beef, conversation: 0x0010_0042, number: 7, side: Side::Agent };

    fn written(words: &str) -> String {
        let mut text = "what was here before".to_owned();
        TAG.begin(&mut text);
        assert_eq!(text.len(), TAG_BYTES);
        text.push_str(words);
        Tag::seal(&mut text);
        text
    }

    #[test]
    fn what_is_written_is_found_wherever_it_stands() {
        let text = written("5 < 6 && \"ä\"\n~ it's");
        let json = format!("{{\"~\":{},\"more\":\"~\"}}", serde_json::to_string(&text).unwrap());
        let xml = text.replace('&', "&amp;").replace('<', "&#60;").replace('"', "&quot;").replace('\'', "&#x27;");
        for (frame, writing) in
            [(text.clone(), Writing::Plain), (json, Writing::Json), (format!("<body>{xml}</body><x/>"), Writing::Xml)]
        {
            assert_eq!(Tag::find(frame.as_bytes(), writing), Some((TAG, true)), "{frame}");
        }
    }

    #[test]
    fn a_text_that_was_changed_cut_or_continued_is_not_intact() {
        let text = written("the parcel is at the depot");
        let longer = text.clone() + "!";
        let mut wrong = vec![text.replace("depot", "Depot"), text.replace("parcel ", ""), longer, text[..50].to_owned()];
        // Another number in the mark: the message of somebody else under this sum.
        wrong.push(text.replacen("00000007", "00000008", 1));
        for text in wrong {
            assert_eq!(Tag::find(text.as_bytes(), Writing::Plain).map(|found| found.1), Some(false), "{text}");
            let json = serde_json::to_string(&text).unwrap();
            assert_eq!(Tag::find(json.as_bytes(), Writing::Json).map(|found| found.1), Some(false), "{text}");
            let unfinished = &json[..json.len() - 1];
            assert_eq!(Tag::find(unfinished.as_bytes(), Writing::Json).map(|found| found.1), Some(false), "{text}");
        }
    }

    #[test]
    fn other_texts_have_none() {
        for text in ["", "~", "~~~~", "hello", "~deadbeef.00000001.00000002.x.00000000~ ", "~deadbeef.00000001.00000002.a.0000"] {
            assert_eq!(Tag::find(text.as_bytes(), Writing::Plain), None, "{text}");
        }
    }
}
