//! The reference for people: prose that is kept here, around tables that are made.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{SCHEMAS, Schemas};
use crate::wire::error::REASONS;
use crate::wire::methods::{METHODS, Rate};
use crate::wire::notifications::NOTIFICATIONS;

/// The reference, in Markdown: connection, sessions, every method, every notification, every type.
#[must_use]
pub fn protocol_markdown() -> String {
    let schemas = Schemas::make();
    let mut out = String::from(BEGINNING);
    reasons(&mut out);
    out.push_str(MIDDLE);
    methods(&mut out, &schemas);
    notifications(&mut out, &schemas);
    types(&mut out, &schemas);
    out.push_str(END);
    out
}

fn reasons(out: &mut String) {
    out.push_str("\n| `data.reason` | also in `data` | when |\n|---|---|---|\n");
    for (reason, data, when) in REASONS {
        line(out, format_args!("| `{reason}` | {data} | {when} |"));
    }
}

fn methods(out: &mut String, schemas: &Schemas) {
    out.push_str("\n## Methods\n\n| method | who | changes something |\n|---|---|---|\n");
    for method in METHODS {
        let (name, roles) = (method.name, method.roles.names().join(", "));
        let mutating = if method.mutating { "yes" } else { "" };
        line(out, format_args!("| [`{name}`](#{}) | {roles} | {mutating} |", anchor(name)));
    }
    for (method, (params, result)) in METHODS.iter().zip(&schemas.methods) {
        line(out, format_args!("\n### `{}`\n\n{}\n", method.name, method.summary));
        line(out, format_args!("Who: {}.{}\n", method.roles.names().join(", "), rate_of(method.rate)));
        out.push_str("Parameters");
        shape(out, params, ": none.");
        out.push_str("\nResult");
        shape(out, result, ": `{}`.");
        if !method.reasons.is_empty() {
            let reasons: Vec<_> = method.reasons.iter().map(|reason| format!("`{reason}`")).collect();
            line(out, format_args!("\nRefused with: {}.", reasons.join(", ")));
        }
    }
}

fn rate_of(rate: Rate) -> &'static str {
    match rate {
        Rate::Free => "",
        Rate::Signal => " Rate: signals.",
        Rate::Write => " Rate: writes.",
        Rate::Read => " Rate: reads.",
        Rate::Start => " Rate: starts.",
    }
}

fn notifications(out: &mut String, schemas: &Schemas) {
    out.push_str("\n## Notifications\n\nFrom the server; without an id. Unknown ones must be ignored.\n");
    for (notification, params) in NOTIFICATIONS.iter().zip(&schemas.notifications) {
        line(out, format_args!("\n### `{}`\n\n{}\n", notification.name, notification.summary));
        line(out, format_args!("Who: {}.\n", notification.roles.names().join(", ")));
        out.push_str("Parameters");
        shape(out, params, ": none.");
    }
}

fn types(out: &mut String, schemas: &Schemas) {
    out.push_str("\n## Types\n");
    for (name, schema) in &schemas.types {
        line(out, format_args!("\n### {name}\n\n{}", text_of(schema)));
        if schema["properties"].is_object() || alternatives(schema).is_some_and(|all| !is_words(all)) {
            out.push_str("\nForm");
            shape(out, schema, "");
        } else if let Some(words) = alternatives(schema) {
            out.push_str("\n| value | |\n|---|---|\n");
            for word in words {
                line(out, format_args!("| {} | {} |", kind_of(word), text_of(word)));
            }
        } else if let Some(pattern) = schema["pattern"].as_str() {
            line(out, format_args!("\nPattern: `{pattern}`"));
        }
    }
}

/// An object: its members, then what differs by kind.
fn shape(out: &mut String, schema: &Value, when_empty: &str) {
    let empty = Map::new();
    let members = schema["properties"].as_object().unwrap_or(&empty);
    let kinds = alternatives(schema).unwrap_or(&[]);
    if members.is_empty() && kinds.is_empty() {
        let named = schema.get("$ref").map(|_| format!(": {}.", kind_of(schema)));
        line(out, format_args!("{}", named.as_deref().unwrap_or(when_empty)));
        return;
    }
    if !members.is_empty() {
        out.push_str(":\n\n| member | type | |\n|---|---|---|\n");
        let (needed, optional): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| is_required(schema, name));
        for (name, member) in needed.into_iter().chain(optional) {
            let optional = if is_required(schema, name) { "" } else { "?" };
            line(out, format_args!("| `{name}`{optional} | {} | {} |", kind_of(member), text_of(member)));
        }
    }
    if kinds.iter().all(|kind| kind.get("$ref").is_some()) {
        if !kinds.is_empty() {
            let named: Vec<_> = kinds.iter().map(kind_of).collect();
            line(out, format_args!(": {}.", named.join(" or ")));
        }
        return;
    }
    out.push_str(if members.is_empty() { ", one of:\n\n" } else { "\nAnd one of:\n\n" });
    out.push_str("| kind | with | |\n|---|---|---|\n");
    for kind in kinds {
        variant(out, kind);
    }
}

fn variant(out: &mut String, kind: &Value) {
    let empty = Map::new();
    let members = kind["properties"].as_object().unwrap_or(&empty);
    let tag = members.iter().find_map(|(name, member)| Some(format!("`{name}: {}`", member.get("const")?)));
    let mut with = Vec::new();
    for (name, member) in members.iter().filter(|(_, member)| member.get("const").is_none()) {
        match member["properties"].as_object() {
            Some(inner) => {
                let inner = inner.iter().map(|(name, it)| said(member, name, it));
                with.push(format!("`{name}`: {{ {} }}", inner.collect::<Vec<_>>().join(", ")));
            }
            None => with.push(said(kind, name, member)),
        }
    }
    line(out, format_args!("| {} | {} | {} |", tag.unwrap_or_default(), with.join(", "), text_of(kind)));
}

fn said(of: &Value, name: &str, member: &Value) -> String {
    let optional = if is_required(of, name) { "" } else { "?" };
    format!("`{name}`{optional} {}", kind_of(member))
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|required| required.iter().any(|it| it == name))
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let kinds = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    kinds.as_array().map(Vec::as_slice)
}

/// Alternatives that are texts, not objects.
fn is_words(kinds: &[Value]) -> bool {
    kinds.iter().all(|kind| kind.get("const").is_some() || kind.get("enum").is_some())
}

/// The type in a word or a link.
fn kind_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        debug_assert!(reference.contains(SCHEMAS), "schemas refer to types of this document");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.first().map(kind_of).unwrap_or_default();
    }
    if let Some(kinds) = alternatives(schema) {
        let kinds: Vec<_> = kinds.iter().filter(|kind| kind["type"] != "null").map(kind_of).collect();
        return kinds.join(" or ");
    }
    if let Some(word) = schema.get("const") {
        return format!("`{word}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().filter(|word| !word.is_null()).map(|word| format!("`{word}`")).collect();
        return words.join(" or ");
    }
    let word = |name: &str| match name {
        "array" => format!("list of {}", schema.get("items").map(kind_of).unwrap_or_default()),
        "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
            Some(values) => format!("object of {}", kind_of(values)),
            None => "object".to_owned(),
        },
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => word(name),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(word).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

/// The description, on one line.
fn text_of(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// As Markdown renderers make anchors of headings.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes what is written");
    out.push('\n');
}

const BEGINNING: &str = include_str!("beginning.md");
const MIDDLE: &str = include_str!("middle.md");
const END: &str = include_str!("end.md");
