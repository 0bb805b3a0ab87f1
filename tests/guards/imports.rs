//! Imports run one way: functions -> cashier -> api, store, providers -> domain. And `domain` stays pure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn manifests() -> BTreeMap<String, (PathBuf, Vec<String>)> {
    let mut found = BTreeMap::new();
    for area in ["functions", "shared", "infra"] {
        for entry in fs::read_dir(tests::root().join(area)).unwrap() {
            let folder = entry.unwrap().path();
            let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
            let name = text.lines().find_map(|l| l.strip_prefix("name = \"")).unwrap().trim_end_matches('"').to_owned();
            let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
            let dependencies = dependencies.split("\n[").next().unwrap_or_default();
            let names = dependencies.lines().filter_map(|l| l.split(['.', ' ', '=']).next()).filter(|n| !n.is_empty());
            found.insert(name, (folder, names.map(str::to_owned).collect()));
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    let manifests = manifests();
    let functions: Vec<&str> = manifests
        .iter()
        .filter(|(_, (folder, _))| folder.parent().unwrap().ends_with("functions"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(functions.len() >= 4, "{functions:?}");
    let allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("domain", vec![]),
        ("store", vec!["domain"]),
        ("providers", vec!["domain"]),
        ("api", vec!["domain", "store", "providers"]),
        ("cashier", vec!["domain", "store", "providers", "api"]),
    ]);
    let ours: Vec<&str> = manifests.keys().map(String::as_str).collect();
    for (name, (_, dependencies)) in &manifests {
        let own: Vec<&str> = dependencies.iter().map(String::as_str).filter(|d| ours.contains(d)).collect();
        let allowed = match allowed.get(name.as_str()) {
            Some(allowed) => allowed.clone(),
            None if functions.contains(&name.as_str()) => vec!["domain", "store", "providers", "api", "cashier"],
            None => continue,
        };
        assert!(own.iter().all(|d| allowed.contains(d)), "{name} may import {allowed:?}, but imports {own:?}");
    }
}

#[test]
fn domain_is_pure() {
    let manifests = manifests();
    let pure = ["chrono", "croner", "hex", "rust_decimal", "serde", "serde_json", "sha2", "thiserror"];
    for dependency in &manifests["domain"].1 {
        assert!(pure.contains(&dependency.as_str()), "domain must not depend on {dependency}");
    }
    let sources = sources(&tests::root().join("shared/domain/src"));
    assert!(sources.len() > 10, "{} files", sources.len());
    for (path, text) in sources {
        for word in [
            "async ",
            "std::env",
            "std::fs",
            "std::net",
            "SystemTime",
            "Utc::now",
            "rand::",
            "f64",
            "f32",
            " as i",
            " as u",
        ] {
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            assert!(!code.iter().any(|line| line.contains(word)), "{} must not say '{word}'", path.display());
        }
    }
}

#[test]
fn only_store_knows_dynamodb_and_every_main_is_short() {
    for (name, (folder, dependencies)) in manifests() {
        let is_function = folder.parent().unwrap().ends_with("functions");
        // The projector reads the stream's own attribute values.
        if is_function && name != "projector" {
            assert!(!dependencies.iter().any(|d| d == "aws-sdk-dynamodb"), "{name} must go through store");
        }
        if is_function {
            let main = fs::read_to_string(folder.join("src/main.rs")).unwrap();
            assert!(main.lines().count() <= 40, "{name}/src/main.rs is longer than 40 lines");
        }
    }
}

/// A tenure is closed by whoever has seen its last hour on a page, and by nobody else.
#[test]
fn only_the_biller_closes_a_tenure() {
    let mut places: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in ["functions", "shared", "infra"].iter().flat_map(|area| sources(&tests::root().join(area))) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code.filter(|line| line.contains("fleet_close(")) {
            let what = if line.contains("fn fleet_close(") { "defined" } else { "called" };
            places.entry(what).or_default().push(path.strip_prefix(tests::root()).unwrap().to_owned());
        }
    }
    let [defined, called] = ["defined", "called"].map(|what| places.remove(what).unwrap_or_default());
    assert_eq!(defined, [Path::new("shared/store/src/fleet/close.rs")]);
    assert!(!called.is_empty() && called.iter().all(|path| path.starts_with("functions/biller/src")), "{called:?}");
}

/// A file of tests. Looked for below the root only, which is named by way of the folder `tests`.
fn is_a_tests(path: &Path) -> bool {
    path.strip_prefix(tests::root()).unwrap().to_string_lossy().contains("tests")
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !is_a_tests(&path) {
            let text = fs::read_to_string(&path).unwrap();
            // What tests do inside a file is theirs.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            found.push((path, code));
        }
    }
    found
}
