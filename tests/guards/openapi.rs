//! The description of the API that is published is the one the code gives.

use std::collections::BTreeMap;
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
    let mut names = std::collections::BTreeSet::new();
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
