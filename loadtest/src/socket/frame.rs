//! Frames of RFC 6455 as a client writes and reads them.

/// Largest message that is accepted, bytes: far above what any target sends.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|opcode| opcode.number() == number)
    }
}

/// One whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Text; that it is UTF-8 is not checked.
    Text(&'a [u8]),
    /// Binary.
    Binary(&'a [u8]),
}

impl<'a> Frame<'a> {
    /// What is in it.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Where an adapter writes messages; they leave together when it returns.
#[derive(Debug)]
pub struct Frames<'a> {
    out: &'a mut Vec<u8>,
    payload: &'a mut Vec<u8>,
    mask: &'a mut u32,
    written: usize,
}

impl<'a> Frames<'a> {
    /// `out` grows by frames, `payload` is working space, `mask` the state of the masks.
    pub(super) fn new(out: &'a mut Vec<u8>, payload: &'a mut Vec<u8>, mask: &'a mut u32) -> Self {
        Self { out, payload, mask, written: 0 }
    }

    /// One text message of what `write` appends.
    pub fn text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.message(Opcode::Text, write);
    }

    /// One binary message of what `write` appends.
    pub fn binary(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.message(Opcode::Binary, write);
    }

    /// Messages written so far.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn message(&mut self, opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) {
        self.payload.clear();
        write(self.payload);
        // A 32-bit xorshift: masks must differ, not be secret, since nothing here stands behind a proxy.
        *self.mask ^= *self.mask << 13;
        *self.mask ^= *self.mask >> 17;
        *self.mask ^= *self.mask << 5;
        self.out.push(FINAL | opcode.number());
        length(self.out, self.payload.len(), MASKED);
        let mask = self.mask.to_le_bytes();
        self.out.extend_from_slice(&mask);
        apply_mask(self.payload, mask);
        self.out.extend_from_slice(self.payload);
        self.written += 1;
    }
}

fn length(out: &mut Vec<u8>, bytes: usize, masked: u8) {
    match bytes {
        0..=125 => out.push(masked | bytes as u8),
        126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(bytes as u16).to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(bytes as u64).to_be_bytes());
        }
    }
}

fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_le_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64::from_le_bytes(word.try_into().expect("chunks are eight bytes")) ^ wide;
        word.copy_from_slice(&masked.to_le_bytes());
    }
    for (at, byte) in words.into_remainder().iter_mut().enumerate() {
        *byte ^= mask[at % 4];
    }
}

/// One frame at the beginning of what has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// More bytes are needed.
    Incomplete,
    /// A frame of so many bytes.
    Whole { opcode: Opcode, last: bool, payload: &'a [u8], bytes: usize },
    /// No frame that a server may send.
    Bad(&'static str),
}

/// Reads the first frame.
pub(super) fn read(bytes: &[u8]) -> Read<'_> {
    let [first, second, ..] = *bytes else { return Read::Incomplete };
    let Some(opcode) = Opcode::from_number(first & 0x0f) else { return Read::Bad("an unknown opcode") };
    if first & 0x70 != 0 {
        return Read::Bad("reserved bits are set, and no extension was agreed on");
    }
    if second & MASKED != 0 {
        return Read::Bad("a masked frame from a server");
    }
    let (header, length) = match second {
        126 => match bytes.get(2..4) {
            Some(length) => (4, usize::from(u16::from_be_bytes([length[0], length[1]]))),
            None => return Read::Incomplete,
        },
        127 => match bytes.get(2..10).and_then(|length| length.try_into().ok()) {
            Some(length) => (10, usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX)),
            None => return Read::Incomplete,
        },
        length => (2, usize::from(length)),
    };
    if length > MESSAGE_BYTES_MAX {
        return Read::Bad("a frame of more than 4 MiB");
    }
    match bytes.get(header..header + length) {
        Some(payload) => Read::Whole { opcode, last: first & FINAL != 0, payload, bytes: header + length },
        None => Read::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_masked_as_the_standard_says() {
        for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536] {
            let text: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            let (mut out, mut payload, mut mask) = (Vec::new(), Vec::new(), 1);
            Frames::new(&mut out, &mut payload, &mut mask).text(|bytes| bytes.extend_from_slice(&text));
            assert_eq!(out[0], 0x81);
            let header = out.len() - length;
            let mask = &out[header - 4..header];
            let read: Vec<u8> = out[header..].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
            assert_eq!(read, text, "{length}");
        }
    }

    #[test]
    fn a_frame_is_read_when_its_last_byte_is_there() {
        let mut frame = vec![0x81, 126, 0, 200];
        frame.extend([b'x'; 200]);
        for end in 0..frame.len() {
            assert_eq!(read(&frame[..end]), Read::Incomplete, "{end}");
        }
        let whole = Read::Whole { opcode: Opcode::Text, last: true, payload: &[b'x'; 200], bytes: 204 };
        assert_eq!(read(&frame), whole);
    }

    #[test]
    fn what_a_server_must_not_send_is_bad() {
        for frame in [[0x83, 0], [0xc1, 0], [0x81, 0x80]] {
            assert!(matches!(read(&frame), Read::Bad(_)), "{frame:?}");
        }
        assert!(matches!(read(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]), Read::Bad(_)));
    }
}
