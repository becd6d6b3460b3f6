//! Metadata between JSON and the domain: a scalar is a text, an object of scalars a group, `null`
//! removes.

use std::borrow::Cow;
use std::fmt;

use jono_domain::conversation::MetadataValue;
use jono_domain::limits::METADATA_ENTRIES_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Changes of metadata, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(pub Vec<(String, Option<MetadataValue>)>);

impl Metadata {
    /// What is set, leaving out what is removed.
    #[must_use]
    pub fn into_set(self) -> Vec<(String, MetadataValue)> {
        self.0.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts, numbers, booleans, null, and objects of those")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Metadata, A::Error> {
                let mut entries: Vec<(String, Option<MetadataValue>)> = Vec::new();
                while let Some((key, Value(value))) = members.next_entry::<String, Value>()? {
                    check_room(&key, entries.iter().map(|(key, _)| key), entries.len())?;
                    entries.push((key, value));
                }
                Ok(Metadata(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn check_room<'a, E: Error>(key: &str, mut keys: impl Iterator<Item = &'a String>, count: usize) -> Result<(), E> {
    if key.is_empty() {
        return Err(E::custom("a key of metadata is not empty"));
    }
    if count == METADATA_ENTRIES_MAX {
        return Err(E::custom("too many entries of metadata"));
    }
    if keys.any(|other| other == key) {
        return Err(E::custom("a key of metadata stands twice"));
    }
    Ok(())
}

/// A scalar, a group, or nothing.
struct Value(Option<MetadataValue>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, number, boolean, null, or an object of those")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                text(value.to_string())
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
                text(value.to_string())
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                text(value.to_string())
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                text(value.to_string())
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
                text(value.to_owned())
            }

            fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
                text(value)
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
                let mut entries: Vec<(String, String)> = Vec::new();
                while let Some((key, Scalar(value))) = members.next_entry::<String, Scalar>()? {
                    check_room(&key, entries.iter().map(|(key, _)| key), entries.len())?;
                    entries.push((key, value));
                }
                Ok(Value(Some(MetadataValue::Group(entries))))
            }
        }
        fn text<E>(value: String) -> Result<Value, E> {
            Ok(Value(Some(MetadataValue::Text(value))))
        }
        deserializer.deserialize_any(Any)
    }
}

/// A scalar as text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, number or boolean")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let scalar = ["string", "number", "boolean"];
        json_schema!({
            "type": "object",
            "description": "What is known about the customer, by key. A text, number or boolean is kept as text, an object of those as a named group; `null` removes the key. At most 64 entries and 8 KiB together.",
            "maxProperties": METADATA_ENTRIES_MAX,
            "additionalProperties": {
                "anyOf": [
                    { "type": ["string", "number", "boolean", "null"] },
                    { "type": "object", "additionalProperties": { "type": scalar } },
                ]
            },
        })
    }
}

/// Metadata as it is shown: `{key: "text" | {key: "text"} | null}`.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownMetadata<'a>(pub Vec<(&'a str, Option<&'a MetadataValue>)>);

impl Serialize for ShownMetadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value {
                None => map.serialize_entry(key, &())?,
                Some(MetadataValue::Text(text)) => map.serialize_entry(key, text)?,
                Some(MetadataValue::Group(entries)) => map.serialize_entry(key, &Group(entries))?,
            }
        }
        map.end()
    }
}

struct Group<'a>(&'a [(String, String)]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl JsonSchema for ShownMetadata<'_> {
    fn schema_name() -> Cow<'static, str> {
        "ShownMetadata".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What is known about the customer: a text, or a named group of texts; `null` (in changes only) is a key that was removed.",
            "additionalProperties": {
                "anyOf": [
                    { "type": ["string", "null"] },
                    { "type": "object", "additionalProperties": { "type": "string" } },
                ]
            },
        })
    }
}
