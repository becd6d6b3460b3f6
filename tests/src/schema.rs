//! As much of JSON Schema as the server's documents use. A word of it that is not known here fails, so
//! that nothing in the documents goes unchecked.

use serde_json::{Map, Value};

/// Says why the value is not what the schema describes; `root` is the document that `$ref` points into.
///
/// # Errors
/// What is wrong, and where.
pub fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    matches(root, schema, value, "$")?;
    described(root, &[schema], value, "$")
}

fn target<'a>(root: &'a Value, reference: &str) -> Result<&'a Value, String> {
    let pointer = reference.strip_prefix('#').ok_or_else(|| format!("{reference} leaves the document"))?;
    root.pointer(pointer).ok_or_else(|| format!("{reference} leads nowhere"))
}

fn matches(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let words = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Bool(false) => return Err(format!("{at} must not be there")),
        Value::Object(words) => words,
        _ => return Err(format!("{at}: {schema} is no schema")),
    };
    for (word, said) in words {
        word_matches(root, words, (word, said), value, at)?;
    }
    Ok(())
}

fn word_matches(
    root: &Value,
    words: &Map<String, Value>,
    (word, said): (&str, &Value),
    value: &Value,
    at: &str,
) -> Result<(), String> {
    let wrong = || Err(format!("{at}: {value} against `{word}: {said}`"));
    let all = || said.as_array().into_iter().flatten();
    let fits = |schema: &Value| matches(root, schema, value, at).is_ok();
    let holds = match word {
        "description" | "title" | "default" | "format" => true,
        "$ref" => return matches(root, target(root, said.as_str().unwrap_or_default())?, value, at),
        "type" if said.is_array() => all().any(|name| is_of(value, name)),
        "type" => is_of(value, said),
        "const" => value == said,
        "enum" => all().any(|it| it == value),
        "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().unwrap_or(f64::MIN)),
        "maximum" => value.as_f64().is_none_or(|number| number <= said.as_f64().unwrap_or(f64::MAX)),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= said.as_u64().unwrap_or(0)),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= said.as_u64().unwrap_or(u64::MAX)),
        "pattern" => value.as_str().is_none_or(|text| pattern(said.as_str().unwrap_or_default(), text)),
        "maxProperties" => value.as_object().is_none_or(|members| members.len() as u64 <= said.as_u64().unwrap_or(u64::MAX)),
        "required" => {
            value.as_object().is_none_or(|members| all().all(|name| members.contains_key(name.as_str().unwrap_or_default())))
        }
        "uniqueItems" => value.as_array().is_none_or(|items| (1..items.len()).all(|at| !items[..at].contains(&items[at]))),
        "items" => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                matches(root, said, item, &format!("{at}[{index}]"))?;
            }
            true
        }
        "properties" | "patternProperties" | "additionalProperties" => {
            for (name, member) in value.as_object().into_iter().flatten() {
                let at = format!("{at}.{name}");
                for schema in of_member(words, word, name) {
                    matches(root, schema, member, &at)?;
                }
            }
            true
        }
        "allOf" => {
            for schema in all() {
                matches(root, schema, value, at)?;
            }
            true
        }
        "anyOf" => all().any(fits),
        "oneOf" => all().filter(|schema| fits(schema)).count() == 1,
        _ => return Err(format!("`{word}` is not known here")),
    };
    if holds { Ok(()) } else { wrong() }
}

/// The schemas that one word of an object's schema has for a member.
fn of_member<'a>(words: &'a Map<String, Value>, word: &str, name: &str) -> Vec<&'a Value> {
    let by_pattern = || words.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    match word {
        "properties" => words.get("properties").and_then(|properties| properties.get(name)).into_iter().collect(),
        "patternProperties" => by_pattern().filter(|(wanted, _)| pattern(wanted, name)).map(|(_, schema)| schema).collect(),
        _ => {
            let is_named =
                !of_member(words, "properties", name).is_empty() || !of_member(words, "patternProperties", name).is_empty();
            words.get("additionalProperties").filter(|_| !is_named).into_iter().collect()
        }
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// Every member of the value is described somewhere in these schemas, which all speak of it.
fn described(root: &Value, schemas: &[&Value], value: &Value, at: &str) -> Result<(), String> {
    let mut all = Vec::new();
    for schema in schemas {
        branches(root, schema, value, &mut all)?;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let items: Vec<_> = all.iter().filter_map(|words| words.get("items")).collect();
        described(root, &items, item, &format!("{at}[{index}]"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let words = ["properties", "patternProperties", "additionalProperties"];
        let known: Vec<_> = all.iter().flat_map(|schema| words.iter().flat_map(|word| of_member(schema, word, name))).collect();
        if known.is_empty() {
            return Err(format!("{at}.{name} is described nowhere"));
        }
        described(root, &known, member, &format!("{at}.{name}"))?;
    }
    Ok(())
}

/// The schema, and those in it that speak of the same value.
fn branches<'a>(
    root: &'a Value,
    schema: &'a Value,
    value: &Value,
    found: &mut Vec<&'a Map<String, Value>>,
) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Ok(()) };
    if matches(root, schema, value, "").is_err() {
        return Ok(());
    }
    found.push(words);
    if let Some(reference) = words.get("$ref").and_then(Value::as_str) {
        branches(root, target(root, reference)?, value, found)?;
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        for branch in words.get(word).and_then(Value::as_array).into_iter().flatten() {
            branches(root, branch, value, found)?;
        }
    }
    Ok(())
}

/// Does the text match? Patterns here are `^`, letters and `[classes]`, each perhaps with `{n}` or `{n,m}`, `$`.
fn pattern(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    let mut pattern = inner.unwrap_or_else(|| panic!("{pattern} is not known here")).chars().peekable();
    let mut text = text.chars().peekable();
    while let Some(first) = pattern.next() {
        let mut class = Vec::new();
        if first == '[' {
            for wanted in pattern.by_ref().take_while(|c| *c != ']') {
                class.push(wanted);
            }
        } else {
            class.push(first);
        }
        let (least, most) = if pattern.next_if_eq(&'{').is_some() {
            let count: String = pattern.by_ref().take_while(|c| *c != '}').collect();
            let (least, most) = count.split_once(',').unwrap_or((&count, &count));
            (least.parse().expect("a count"), most.parse().expect("a count"))
        } else {
            (1, 1)
        };
        let count = (0..most).take_while(|_| text.next_if(|c| is_in(&class, *c)).is_some()).count();
        if count < least {
            return false;
        }
    }
    text.next().is_none()
}

fn is_in(class: &[char], c: char) -> bool {
    let mut at = 0;
    while at < class.len() {
        if class.get(at + 1) == Some(&'-') && at + 2 < class.len() {
            if (class[at]..=class[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else if class[at] == c {
            return true;
        } else {
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_described_is_told_from_what_is_not() {
        let root = json!({ "types": { "Id": { "type": "string", "pattern": "^q_[a-h][a-z2-7]{3}$" } } });
        let schema = json!({
            "type": "object",
            "properties": { "id": { "$ref": "#/types/Id" }, "n": { "type": ["integer", "null"], "minimum": 1 } },
            "required": ["id"],
            "oneOf": [{ "properties": { "kind": { "const": "a" } } }, { "properties": { "kind": { "const": "b" } }, "required": ["kind"] }],
        });
        let good = [
            json!({ "id": "q_abz7" }),
            json!({ "id": "q_abz7", "n": 3, "kind": "a" }),
            json!({ "id": "q_aaaa", "n": null, "kind": "b" }),
        ];
        for value in good {
            assert_eq!(check(&root, &schema, &value), Ok(()));
        }
        let bad = [
            json!({}),
            json!({ "id": "q_zbz7" }),
            json!({ "id": "q_abz78" }),
            json!({ "id": "q_abz7", "n": 0 }),
            json!({ "id": "q_abz7", "kind": "c" }),
            json!({ "id": "q_abz7", "other": 1 }),
            json!([]),
        ];
        for value in bad {
            assert!(check(&root, &schema, &value).is_err(), "{value}");
        }
        assert!(check(&root, &json!({ "minItems": 1 }), &json!([])).is_err(), "unknown words are not passed over");
    }
}
