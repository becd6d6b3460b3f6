//! Ids and small checked texts as they stand in JSON.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::marker::PhantomData;
use std::str::FromStr;

use jono_domain::id::{AgentId, ConversationId, CustomerId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::limits::KEY_CHARS_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// An id of the domain, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id<T>(pub T);

impl<T> From<T> for Id<T> {
    fn from(id: T) -> Self {
        Self(id)
    }
}

impl<T: fmt::Display> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut short = Short { bytes: [0; SHORT_BYTES], len: 0 };
        match write!(short, "{}", self.0) {
            Ok(()) => serializer.serialize_str(short.as_str()),
            Err(fmt::Error) => serializer.collect_str(&self.0),
        }
    }
}

/// Room for the text of an id: a prefix and 26 characters.
const SHORT_BYTES: usize = 40;

/// A short text on the stack, so that an id goes into the JSON in one piece.
struct Short {
    bytes: [u8; SHORT_BYTES],
    len: usize,
}

impl Short {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("whole texts were written")
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

impl<'de, T: FromStr + Named> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse<T>(PhantomData<T>);
        impl<T: FromStr + Named> Visitor<'_> for Parse<T> {
            type Value = Id<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an id that starts with {}", T::PREFIX)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id<T>, E> {
                // The text itself is not repeated: it may be long.
                text.parse().map(Id).map_err(|_| E::custom(format_args!("not an id that starts with {}", T::PREFIX)))
            }
        }
        deserializer.deserialize_str(Parse(PhantomData))
    }
}

/// A kind of id.
pub trait Named {
    /// The name of its schema.
    const NAME: &'static str;
    /// What its text starts with.
    const PREFIX: &'static str;
}

macro_rules! named {
    ($($id:ident),*) => {$(
        impl Named for $id {
            const NAME: &'static str = stringify!($id);
            const PREFIX: &'static str = $id::PREFIX;
        }
    )*};
}
named!(AgentId, ConversationId, CustomerId, OrganisationId, QueueId, SiteId, TokenId);

impl<T: Named> JsonSchema for Id<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": format!("^{}[a-h][a-z2-7]{{25}}$", T::PREFIX),
            "description": format!("`{}` and 26 characters; opaque.", T::PREFIX),
        })
    }
}

/// What makes a request safe to repeat: 1 to 64 printable ASCII characters, chosen by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if key.is_empty() || key.len() > KEY_CHARS_MAX || !printable {
            return Err(D::Error::custom("a key is 1 to 64 printable ASCII characters"));
        }
        Ok(Self(key))
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[ -~]{1,64}$",
            "description": "Makes the request safe to repeat: the same key from the same author gets the first answer, for 24 h.",
        })
    }
}
