//! What was answered to requests that carried a key: a repeat gets the same (guarantee G2).

use std::collections::HashMap;

use bytes::Bytes;
use jono_domain::account::{Author, Who};
use jono_domain::limits::KEY_KEPT_MS;
use jono_domain::message::Order;
use jono_domain::reply::Reply;
use jono_domain::time::Time;
use jono_store::Answer;
use serde::{Deserialize, Serialize};

use crate::codec;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Remembered {
    /// It was answered.
    Answered(Reply),
    /// It was sent on; the one who answered it remembers the answer.
    Forwarded(Order),
}

/// How many are kept before old ones are looked for.
const TIDY_EVERY: usize = 256;

/// An entity's answers of the last day.
#[derive(Debug, Default)]
pub(crate) struct Answers(HashMap<Bytes, (Time, Bytes)>);

impl Answers {
    pub(crate) fn restore(stored: &[Answer], now: Time) -> Self {
        let young = stored.iter().filter(|answer| now.since_ms(Time(answer.at_ms)) < KEY_KEPT_MS);
        Self(young.map(|answer| (answer.key.clone(), (Time(answer.at_ms), answer.value.clone()))).collect())
    }

    pub(crate) fn find(&self, who: Who, key: &str) -> Option<Remembered> {
        if self.0.is_empty() {
            return None;
        }
        let (_, bytes) = self.0.get(&key_of(who, key))?;
        codec::decode(bytes).ok()
    }

    /// Remembers, and says what must be stored.
    pub(crate) fn remember(&mut self, who: Who, key: &str, remembered: &Remembered, now: Time) -> (Bytes, Bytes) {
        if self.0.len() % TIDY_EVERY == TIDY_EVERY - 1 {
            self.0.retain(|_, (at, _)| now.since_ms(*at) < KEY_KEPT_MS);
        }
        let key = key_of(who, key);
        // Exactly as many bytes as it takes: it stays for a day.
        let value = Bytes::copy_from_slice(&codec::encode(remembered));
        self.0.insert(key.clone(), (now, value.clone()));
        (key, value)
    }
}

/// Author and key in a fixed 33 bytes. The hash need not be strong: an author who finds two keys of one hash
/// repeats only a request of their own.
fn key_of(who: Who, key: &str) -> Bytes {
    let (kind, bits) = match who.author() {
        Author::Customer(customer) => (1, customer.bits()),
        Author::Agent(agent) => (2, agent.bits()),
        Author::System => (3, 0),
    };
    // FNV-1a, 128 bits.
    let hash = key.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    let mut out = Vec::with_capacity(33);
    out.push(kind);
    out.extend_from_slice(&bits.to_be_bytes());
    out.extend_from_slice(&hash.to_be_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId};

    use super::*;

    /// Stored bytes: see `tests/engine/codec.rs` for what to do when this fails.
    #[test]
    fn the_stored_form_has_not_changed() {
        assert_eq!(codec::encode(&Remembered::Answered(Reply::Done)), [1, 0, 0]);
        let describe = Box::new(jono_domain::conversation::Command::Describe);
        let order = Order::Conversation(ConversationId::from_bits(1), describe);
        assert_eq!(codec::encode(&Remembered::Forwarded(order)), [1, 1, 4, 1, 23]);
        let organisation = OrganisationId::from_bits(1);
        let key = |who| key_of(who, "key").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let hash = "a68d48cc748b5822836dbc796da9ad2c";
        assert_eq!(key(Who::Customer(organisation, CustomerId::from_bits(2))), format!("01{:032x}{hash}", 2));
        assert_eq!(key(Who::Agent(organisation, AgentId::from_bits(2))), format!("02{:032x}{hash}", 2));
        assert_eq!(key(Who::Root), format!("03{:032x}{hash}", 0));
    }

    #[test]
    fn what_is_older_than_a_day_makes_room() {
        let mut answers = Answers::default();
        let remembered = Remembered::Answered(Reply::Done);
        for number in 0..2 * TIDY_EVERY as u64 {
            answers.remember(Who::Root, &number.to_string(), &remembered, Time(number));
        }
        assert_eq!(answers.0.len(), 2 * TIDY_EVERY);
        for number in 0..2 * TIDY_EVERY as u64 {
            answers.remember(Who::Root, &format!("late {number}"), &remembered, Time(2 * KEY_KEPT_MS));
        }
        assert!(answers.0.len() <= 3 * TIDY_EVERY);
        assert_eq!(answers.find(Who::Root, "0"), None);
        assert_eq!(answers.find(Who::Root, "late 0"), Some(remembered));
    }
}
