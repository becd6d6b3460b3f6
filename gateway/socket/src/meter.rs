//! Owns what is checked below the codec: frame headers byte by byte, frame and byte rates.
//!
//! The codec would take a million empty fragments or pings, and buffer a frame whose first byte is
//! already wrong. Must not buffer anything itself.

use crate::limits::SocketLimits;

/// Grants are added no more often than this, so that rounding does not eat small rates.
const REFILL_MS: u64 = 250;

/// Why input is not passed on to the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Reserved bits, reserved opcode, or a frame without mask: 1002.
    Protocol,
    /// A binary frame: 1003.
    Binary,
    /// More frames or bytes than granted: 4005.
    Rate,
}

/// Where in a frame the next byte belongs.
#[derive(Clone, Copy, Debug)]
enum Stage {
    First,
    Second,
    /// Bytes of the extended length still to come, then the mask.
    Length(u8),
    Mask(u8),
    Payload,
}

/// Follows one socket's input.
#[derive(Debug)]
pub(crate) struct Meter {
    stage: Stage,
    /// Inside a fragmented message, between its frames.
    unfinished: bool,
    fault: Option<Fault>,
    /// Payload bytes of the current frame still to come.
    left: u64,
    frames: u32,
    bytes: u32,
    refilled_ms: u64,
    /// Largest payload since [`Meter::forget_peak`].
    peak: u64,
}

impl Meter {
    pub(crate) fn new(limits: &SocketLimits, now_ms: u64) -> Self {
        Self {
            stage: Stage::First,
            unfinished: false,
            fault: None,
            left: 0,
            frames: limits.frames_burst,
            bytes: limits.bytes_burst,
            refilled_ms: now_ms,
            peak: 0,
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// No frame and no fragmented message is half received.
    pub(crate) fn at_message_boundary(&self) -> bool {
        matches!(self.stage, Stage::First) && !self.unfinished
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    pub(crate) fn forget_peak(&mut self) {
        self.peak = 0;
    }

    /// Looks at input that was just read; says how many bytes of it the codec may have. Fewer than
    /// all means there is a fault.
    pub(crate) fn pass(&mut self, input: &[u8], limits: &SocketLimits, now_ms: u64) -> usize {
        self.refill(limits, now_ms);
        match u32::try_from(input.len()).map(|count| self.bytes.checked_sub(count)) {
            Ok(Some(left)) => self.bytes = left,
            Ok(None) | Err(_) => {
                self.fault = Some(Fault::Rate);
                return 0;
            }
        }
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.step(byte, input.len() - at) {
                Ok(taken) => at += taken,
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        at
    }

    fn refill(&mut self, limits: &SocketLimits, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.refilled_ms);
        if elapsed_ms < REFILL_MS {
            return;
        }
        self.refilled_ms = now_ms;
        let add = |tokens: u32, per_second: u32, burst: u32| {
            let granted = u64::from(per_second).saturating_mul(elapsed_ms) / 1000;
            u64::from(tokens).saturating_add(granted).min(u64::from(burst)) as u32
        };
        self.frames = add(self.frames, limits.frames_per_second, limits.frames_burst);
        self.bytes = add(self.bytes, limits.bytes_per_second, limits.bytes_burst);
    }

    /// Takes one byte, or as much payload as there is; `available` counts this byte.
    fn step(&mut self, byte: u8, available: usize) -> Result<usize, Fault> {
        match self.stage {
            Stage::First => {
                self.first(byte)?;
                self.stage = Stage::Second;
            }
            Stage::Second => {
                if byte & 0x80 == 0 {
                    return Err(Fault::Protocol);
                }
                self.left = 0;
                self.stage = match byte & 0x7f {
                    126 => Stage::Length(2),
                    127 => Stage::Length(8),
                    length => {
                        self.left = u64::from(length);
                        Stage::Mask(4)
                    }
                };
            }
            Stage::Length(more) => {
                self.left = self.left << 8 | u64::from(byte);
                self.stage = match more {
                    1 => Stage::Mask(4),
                    _ => Stage::Length(more - 1),
                };
            }
            Stage::Mask(1) => {
                self.peak = self.peak.max(self.left);
                self.stage = match self.left {
                    0 => Stage::First,
                    _ => Stage::Payload,
                };
            }
            Stage::Mask(more) => self.stage = Stage::Mask(more - 1),
            Stage::Payload => {
                let taken = self.left.min(available as u64);
                self.left -= taken;
                if self.left == 0 {
                    self.stage = Stage::First;
                }
                return Ok(taken as usize);
            }
        }
        Ok(1)
    }

    /// The byte of FIN, reserved bits and opcode.
    fn first(&mut self, byte: u8) -> Result<(), Fault> {
        let last = byte & 0x80 != 0;
        if byte & 0x70 != 0 {
            return Err(Fault::Protocol);
        }
        match byte & 0x0f {
            0 | 1 => self.unfinished = !last,
            2 => return Err(Fault::Binary),
            8..=10 => {}
            _ => return Err(Fault::Protocol),
        }
        self.frames = self.frames.checked_sub(1).ok_or(Fault::Rate)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of every size; says what was passed and the fault.
    fn check(input: &[u8], expected: (usize, Option<Fault>, bool)) {
        let limits = SocketLimits::default();
        for size in 1..=input.len() {
            let mut meter = Meter::new(&limits, 0);
            let mut passed = 0;
            for piece in input.chunks(size) {
                let taken = meter.pass(piece, &limits, 0);
                passed += taken;
                if taken < piece.len() {
                    break;
                }
            }
            let got = (passed, meter.fault(), meter.at_message_boundary());
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_whole_message_ends_at_a_boundary() {
        check(&[0x81, 0x82, 1, 2, 3, 4, b'h', b'i'], (8, None, true));
        check(&[0x81, 0x80, 1, 2, 3, 4], (6, None, true));
    }

    #[test]
    fn a_ping_between_fragments_does_not_end_the_message() {
        let input = [0x01, 0x81, 0, 0, 0, 0, b'a', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0];
        check(&input[..13], (13, None, false));
        check(&input, (19, None, true));
    }

    #[test]
    fn wrong_headers_stop_at_the_wrong_byte() {
        check(&[0xc1], (0, Some(Fault::Protocol), true));
        check(&[0x83], (0, Some(Fault::Protocol), true));
        check(&[0x82, 0x80], (0, Some(Fault::Binary), true));
        check(&[0x81, 0x02, b'h'], (1, Some(Fault::Protocol), false));
    }

    #[test]
    fn what_stands_before_a_fault_is_passed() {
        let input = [0x81, 0x81, 0, 0, 0, 0, b'a', 0xff];
        check(&input, (7, Some(Fault::Protocol), true));
    }

    #[test]
    fn frames_over_the_burst_are_a_rate_fault_until_time_passes() {
        let limits = SocketLimits { frames_burst: 2, frames_per_second: 1, ..SocketLimits::default() };
        let empty = [0x89, 0x80, 0, 0, 0, 0];
        let mut meter = Meter::new(&limits, 0);
        assert_eq!(meter.pass(&empty, &limits, 0), 6);
        assert_eq!(meter.pass(&empty, &limits, 0), 6);
        assert_eq!(meter.pass(&empty, &limits, 1000), 6);
        assert_eq!(meter.pass(&empty, &limits, 1500), 0);
        assert_eq!(meter.fault(), Some(Fault::Rate));
    }

    #[test]
    fn long_lengths_are_read_whole() {
        let mut input = vec![0x81, 0xfe, 1, 0, 0, 0, 0, 0];
        input.extend([b'x'; 256]);
        check(&input, (264, None, true));
    }
}
