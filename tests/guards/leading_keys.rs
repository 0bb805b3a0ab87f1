//! Items of `main` that decide who is let in are written by few. Which functions write them is seen at the SDK's HTTP connector;
//! all others are denied them by a condition on the partition key.

use super::story::{Seen, story};
use super::template::{functions, scalar, shared_policies, statements, texts};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Patterns of partition keys: roles, sessions and API keys; public keys of access tokens; mails.
const GUARDED: [&str; 4] = ["ACCESS#*", "ACCESS_KEYS", "MAIL#*", "OUTBOX"];
/// All actions that write an item.
const WRITES: [&str; 4] = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"];
const MAIN: &str = "Tables.Outputs.MainArn";

/// The one form of pattern that is used: text, or text and a star at its end.
fn covers(pattern: &str, key: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == key, |prefix| key.starts_with(prefix))
}

/// Partition keys of `main` that a call writes. A transaction counts whole, checks included: then it does not matter whether
/// IAM looks at the keys of an item or of all of them.
fn keys_written(call: &Seen) -> Vec<String> {
    let body = &call.body;
    let is_main = |value: &Json| value["TableName"].as_str().is_some_and(|name| name.ends_with("-main"));
    let key = |value: &Json| {
        let place = if value["Item"].is_null() { &value["Key"] } else { &value["Item"] };
        place["pk"]["S"].as_str().unwrap_or_else(|| panic!("no key in {value}")).to_owned()
    };
    match call.operation.as_str() {
        "PutItem" | "UpdateItem" | "DeleteItem" if is_main(body) => vec![key(body)],
        "TransactWriteItems" => {
            let items = body["TransactItems"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap());
            items.filter(|(_, value)| is_main(value)).map(|(_, value)| key(value)).collect()
        }
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with("-main"));
            let requests = tables.flat_map(|(_, requests)| requests.as_array().unwrap());
            requests.flat_map(|request| request.as_object().unwrap().values()).map(key).collect()
        }
        _ => Vec::new(),
    }
}

/// The patterns each function is denied, of policies that deny nothing else and nothing less.
fn denied() -> BTreeMap<String, BTreeSet<String>> {
    let mut denied = BTreeMap::<String, BTreeSet<String>>::new();
    for (functions, statements) in shared_policies() {
        for statement in statements {
            assert_eq!(statement["Effect"].as_str(), Some("Deny"), "who may what stands in the roles");
            assert_eq!(texts(&statement["Action"]), WRITES);
            assert_eq!(scalar(&statement["Resource"]), MAIN);
            let condition = &statement["Condition"];
            assert_eq!(condition.as_mapping().unwrap().len(), 1, "{condition:?}");
            let keys = texts(&condition["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"]);
            assert!(!keys.is_empty(), "{condition:?}");
            for function in &functions {
                denied.entry(function.clone()).or_default().extend(keys.clone());
            }
        }
    }
    denied
}

#[tokio::test]
async fn who_never_writes_rights_keys_or_mails_may_not() {
    let mut written = BTreeMap::<&str, BTreeSet<&str>>::new();
    for call in story().await {
        for key in keys_written(&call) {
            let guarded = GUARDED.into_iter().filter(|pattern| covers(pattern, &key));
            written.entry(call.function).or_default().extend(guarded);
        }
    }
    let denied = denied();
    let mut wrong = Vec::new();
    for function in functions() {
        let grants = statements(&function);
        let may_write =
            |grant: &super::template::Statement| grant.actions.iter().any(|action| WRITES.contains(&action.as_str()));
        let is_writer = grants.iter().any(|grant| grant.resource == MAIN && may_write(grant));
        let needed = written.get(function.as_str()).cloned().unwrap_or_default();
        let wanted = GUARDED.into_iter().filter(|pattern| is_writer && !needed.contains(pattern)).map(str::to_owned);
        let wanted: BTreeSet<String> = wanted.collect();
        let denied = denied.get(&function).cloned().unwrap_or_default();
        if denied != wanted {
            wrong.push(format!("{function} is denied {denied:?}; it should be {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
