//! The description of the API that is published is the one the code gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// `UPDATE=1 cargo test -p tests openapi` writes it anew.
#[test]
fn the_published_description_is_the_codes() {
    let path = tests::root().join("functions/health/openapi.json");
    let code = serde_json::to_string_pretty(&skymeter::gateway::openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &code).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap();
    assert!(published == code, "it differs: UPDATE=1 cargo test -p tests --test all -- openapi");
}

#[test]
fn every_operation_says_what_it_is_and_has_a_name_of_its_own() {
    let document = serde_json::to_value(skymeter::gateway::openapi()).unwrap();
    assert_eq!(document["openapi"].as_str().map(|version| version.starts_with("3.1")), Some(true));
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{method} {path} does not say what it does");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            let area = path.trim_start_matches("/.well-known/").split('/').find(|part| !part.is_empty()).unwrap();
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(tag == area || area == "jwks.json", "{method} {path} is tagged {tag}");
        }
    }
}

/// POSTs that take no `Idempotency-Key`, and why a second one does no harm. An answer that is kept holds what was answered, and the
/// hash of what was asked: neither may be done with passwords and tokens.
const ASKED_TWICE: [(&str, &str); 16] = [
    ("change_email", "the newest token holds"),
    ("change_password", "the password that was given is no longer the current one"),
    ("confirm_email", "the token is used up"),
    ("forgot_password", "the answer is always the same, and mails are bounded"),
    ("login", "another session"),
    ("logout", "the session is over"),
    ("paypal_webhook", "the event has an id"),
    ("refresh", "the token is used up, and a second use ends the session"),
    ("register", "the answer is always the same, and an address is one account"),
    ("resend_verification", "the answer is always the same, and mails are bounded"),
    ("reset_password", "the token is used up"),
    ("stripe_webhook", "the event has an id"),
    ("two_factor_confirm", "the factor is in force"),
    ("two_factor_disable", "there is none any more"),
    ("two_factor_setup", "another secret takes the place of the one that was not confirmed"),
    ("verify_email", "the token is used up"),
];

#[test]
fn every_post_takes_an_idempotency_key_or_says_why_not() {
    let document = serde_json::to_value(skymeter::gateway::openapi()).unwrap();
    let posts = document["paths"].as_object().unwrap().values().filter_map(|item| item.get("post"));
    let without = posts.filter(|post| {
        let parameters = post["parameters"].as_array();
        !parameters.is_some_and(|parameters| parameters.iter().any(|one| one["name"] == "Idempotency-Key"))
    });
    let without: BTreeSet<&str> = without.map(|post| post["operationId"].as_str().unwrap()).collect();
    assert_eq!(without, ASKED_TWICE.map(|(name, _)| name).into());
}

/// The parts of an `allOf` hold together: what no value can be, nobody can send, and no answer fits.
#[test]
fn no_schema_contradicts_itself() {
    fn walk(value: &serde_json::Value, place: &str) {
        if let Some(parts) = value["allOf"].as_array() {
            let types: BTreeSet<&str> = parts.iter().filter_map(|part| part["type"].as_str()).collect();
            assert!(types.len() <= 1, "{place} is to be all of {types:?}");
        }
        match value {
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| walk(field, &format!("{place}/{name}")));
            }
            serde_json::Value::Array(rows) => rows.iter().for_each(|row| walk(row, place)),
            _ => {}
        }
    }
    walk(&serde_json::to_value(skymeter::gateway::openapi()).unwrap(), "");
}

/// Areas are described apart and published together, where a name can stand for one thing only.
#[test]
fn no_two_areas_mean_different_things_by_one_name() {
    let mut differing = Vec::new();
    let mut known: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for area in skymeter::gateway::areas() {
        let area = serde_json::to_value(area).unwrap();
        for (name, schema) in area["components"]["schemas"].as_object().into_iter().flatten() {
            let held = known.entry(name.clone()).or_insert_with(|| schema.clone());
            if held != schema {
                differing.push(name.clone());
            }
        }
    }
    assert!(differing.is_empty(), "{differing:?}");
}
