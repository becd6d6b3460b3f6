use std::collections::BTreeSet;

use super::*;

#[test]
fn every_mutating_method_takes_a_key_and_no_other_does() {
    let document = openrpc();
    for method in document["methods"].as_array().unwrap() {
        let takes_key = method["params"].as_array().unwrap().iter().any(|param| param["name"] == "key");
        assert_eq!(takes_key, method["x-mutating"] == true, "{}", method["name"]);
    }
}

#[test]
fn every_reference_leads_to_a_type_and_no_type_has_two_forms() {
    let document = openrpc();
    let types = document["components"]["schemas"].as_object().unwrap();
    assert!(types.keys().all(|name| !name.ends_with('2')), "a name stands for two types: {:?}", types.keys());
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let reference = reference.split('"').next().unwrap();
        let name = reference.strip_prefix("#/components/schemas/").unwrap_or_else(|| panic!("{reference}"));
        assert!(types.contains_key(name), "{name}");
    }
}

#[test]
fn the_table_has_each_name_once_and_only_known_reasons() {
    let names: BTreeSet<_> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len());
    let calls: BTreeSet<_> = METHODS.iter().map(|method| format!("{:?}", method.call)).collect();
    assert_eq!(calls.len(), METHODS.len());
    for method in METHODS {
        for reason in method.reasons {
            assert!(REASONS.iter().any(|(name, ..)| name == reason), "{}: {reason}", method.name);
        }
    }
}

#[test]
fn the_reference_names_everything_and_describes_every_member() {
    let text = protocol_markdown();
    for name in METHODS.iter().map(|method| method.name).chain(NOTIFICATIONS.iter().map(|it| it.name)) {
        assert!(text.contains(&format!("### `{name}`")), "{name}");
    }
    let undescribed: Vec<_> = text.lines().filter(|line| line.starts_with("| `") && line.ends_with("|  |")).collect();
    assert!(undescribed.is_empty(), "{undescribed:#?}");
    assert!(!text.contains("list of  "), "a list of nothing known");
}
