//! The mark at the beginning of every text: which run, conversation, side and number it is. By it loss, duplicates, disorder and
//! foreign messages are counted exactly, whatever the target does with the text.

/// Bytes of a written tag, the space behind it included. No text is shorter.
pub const TAG_BYTES: usize = 31;
/// How far into a frame's part the tag is looked for.
const LOOKED_AT_BYTES: usize = 4096;

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
    /// Appends it: 31 bytes of letters, digits, `~`, `.` and a space, which need no escaping in JSON or XML.
    pub fn write(&self, text: &mut String) {
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
        text.push_str("~ ");
    }

    /// The first tag in the first 4 KiB.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let mut rest = &bytes[..bytes.len().min(LOOKED_AT_BYTES)];
        loop {
            let at = rest.iter().position(|byte| *byte == b'~')?;
            rest = &rest[at + 1..];
            if let Some(tag) = Self::read(rest) {
                return Some(tag);
            }
        }
    }

    /// Reads what stands behind the first `~`.
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..29)?;
        if [bytes[8], bytes[17], bytes[26], bytes[28]] != *b"...~" {
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

    #[test]
    fn what_is_written_is_found_wherever_it_stands() {
        let tag = Tag { run: 0xdead_beef, conversation: 0x0010_0042, number: 7, side: Side::Agent };
        let mut text = String::new();
        tag.write(&mut text);
        assert_eq!(text.len(), TAG_BYTES);
        assert_eq!(Tag::find(format!("{{\"~\":\"{text}hello~\"}}").as_bytes()), Some(tag));
    }

    #[test]
    fn other_texts_have_none() {
        for text in ["", "~", "~~~~", "hello", "~deadbeef.00000001.00000002.x~ ", "~deadbeef.00000001.00000002.a"] {
            assert_eq!(Tag::find(text.as_bytes()), None, "{text}");
        }
    }
}
