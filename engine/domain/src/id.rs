//! Identifiers: 128 random bits behind a prefix that names the kind.
//!
//! In text an id is its prefix and 26 characters of lower-case base 32 (`a-z2-7`); in memory and in
//! the store it is 16 bytes. Randomness comes from outside: `from_bits`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const DIGITS: usize = 26;

/// The text was not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of this kind")
    }
}

impl std::error::Error for BadId {}

fn write_base32(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0u8; DIGITS];
    let mut rest = bits;
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
}

fn read_base32(text: &str) -> Result<u128, BadId> {
    // 26 digits hold 130 bits: the first may only be a..h (three bits).
    if text.len() != DIGITS || !(b'a'..=b'h').contains(&text.as_bytes()[0]) {
        return Err(BadId);
    }
    text.bytes().try_fold(0u128, |bits, byte| {
        let digit = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return Err(BadId),
        };
        Ok((bits << 5) | u128::from(digit))
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(u128);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// An id of these bits; whoever makes one brings randomness.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix($prefix).ok_or(BadId).and_then(read_base32).map(Self)
            }
        }
    };
}

id!(
    /// An organisation: the tenant, and the wall between tenants.
    OrganisationId,
    "org_"
);
id!(
    /// A queue of an organisation.
    QueueId,
    "q_"
);
id!(
    /// A conversation.
    ConversationId,
    "conv_"
);
id!(
    /// An agent account, of a person or of a bot.
    AgentId,
    "agt_"
);
id!(
    /// A customer: one visitor, over all their tabs and connections.
    CustomerId,
    "cus_"
);
id!(
    /// A site: one embed of the widget.
    SiteId,
    "site_"
);
id!(
    /// A credential of an agent (not the secret itself).
    TokenId,
    "tok_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let id = ConversationId::from_bits(bits);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in [
            "",
            "conv_",
            "q_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "conv_7aaaaaaaaaaaaaaaaaaaaaaaaa",
            "conv_aaaaaaaaaaaaaaaaaaaaaaaaa1",
            "conv_äaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(bad.parse::<ConversationId>(), Err(BadId), "{bad}");
        }
    }
}
