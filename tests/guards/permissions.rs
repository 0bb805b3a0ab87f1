//! Least privilege, both ways: what the functions do here, seen at the SDK's HTTP connector, is what their roles in the
//! template allow. Nothing is missing, and nothing is granted that is never used.

use super::story::{Seen, story};
use super::template::{GET_SECRET, Statement, functions, statements};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::StoreError;
use tests::TestApp;

/// `(action, resource)` by function.
type Used = BTreeMap<&'static str, BTreeSet<(String, String)>>;

/// What the calls need to be allowed.
fn used(calls: Vec<Seen>) -> Used {
    let mut used = Used::new();
    for Seen { function, operation, body } in calls {
        if !function.is_empty() {
            used.entry(function).or_default().extend(needed(&operation, &body));
        }
    }
    used
}

fn needed(operation: &str, body: &Value) -> Vec<(String, String)> {
    let plain = |name: &str| name.strip_prefix("skymeter-").unwrap_or(name).to_owned();
    let table = |value: &Value| plain(value["TableName"].as_str().unwrap_or_default());
    match operation {
        // Transactions have no action of their own: they are authorised by what is inside.
        "TransactWriteItems" => {
            let items = body["TransactItems"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap());
            items.map(|(kind, value)| (format!("dynamodb:{kind}Item"), table(value))).collect()
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.map(|name| (format!("dynamodb:{operation}"), plain(name))).collect()
        }
        queue if queue.starts_with("sqs:") => vec![(queue.to_owned(), body.as_str().unwrap().to_owned())],
        operation => vec![(format!("dynamodb:{operation}"), table(body))],
    }
}

/// What a statement is about, by the name the recorder uses.
fn resource(statement: &Statement) -> String {
    let names = [
        ("Tables.Outputs.LedgerArn", "ledger"),
        ("Tables.Outputs.MainArn", "main"),
        ("Tables.Outputs.IdentityArn", "identity"),
        ("Queues.Outputs.MeteringArn", "metering"),
        ("Queues.Outputs.JobsArn", "jobs"),
        ("Queues.Outputs.ParkedArn", "parked"),
        ("Queues.Outputs.MailsArn", "mails"),
        ("AccessKeySecretArn", "access key"),
        ("StripeSecretArn", "stripe"),
        ("PaypalSecretArn", "paypal"),
        ("arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${MailIdentity}", "mail identity"),
        (
            "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/default/skymeter-${Stage}-metering",
            "schedule",
        ),
        ("meteringHourlyRole.Arn", "the schedule's role"),
    ];
    let known = names.iter().find(|(text, _)| *text == statement.resource);
    known.map_or_else(|| panic!("an unknown resource: {}", statement.resource), |(_, name)| (*name).to_owned())
}

/// What this test cannot look at, each with tests of its own: secrets are read at the start of the process, SES and EventBridge
/// Scheduler stand behind traits that the story plays by other parts.
const ELSEWHERE: [(&str, &str, &str); 13] = [
    ("auth", GET_SECRET, "access key"),
    ("billing", GET_SECRET, "stripe"),
    ("billing", GET_SECRET, "paypal"),
    ("payments", GET_SECRET, "stripe"),
    ("payments", GET_SECRET, "paypal"),
    ("webhooks", GET_SECRET, "stripe"),
    ("webhooks", GET_SECRET, "paypal"),
    ("lifecycle", GET_SECRET, "stripe"),
    ("lifecycle", GET_SECRET, "paypal"),
    ("mailer", "ses:SendRawEmail", "mail identity"),
    ("admin", "scheduler:GetSchedule", "schedule"),
    ("admin", "scheduler:UpdateSchedule", "schedule"),
    // An update names the schedule's role again.
    ("admin", "iam:PassRole", "the schedule's role"),
];

#[tokio::test]
async fn every_function_may_do_what_it_does_and_nothing_else() {
    let mut used = used(story().await);
    for (function, action, resource) in ELSEWHERE {
        used.entry(function).or_default().insert((action.to_owned(), resource.to_owned()));
    }
    let played: BTreeSet<&str> = used.keys().copied().collect();
    assert_eq!(played, functions().iter().map(String::as_str).collect(), "a function that does nothing in the story");
    let mut wrong = Vec::new();
    for (function, used) in used {
        let granted: BTreeSet<(String, String)> = statements(function)
            .iter()
            .filter(|statement| statement.is_the_codes_own())
            .flat_map(|statement| statement.actions.iter().map(|action| (action.clone(), resource(statement))))
            .collect();
        let missing: Vec<_> = used.difference(&granted).collect();
        let unused: Vec<_> = granted.difference(&used).collect();
        if !missing.is_empty() || !unused.is_empty() {
            wrong.push(format!("{function}: missing {missing:?}, never used {unused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused_and_an_older_release_cannot_take_them_back() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    store.schema_check().await.unwrap();
    store.schema_claim().await.unwrap();
    store.schema_claim().await.unwrap();
    store.schema_check().await.unwrap();
    let newer = store::SCHEMA_VERSION + 1;
    let put = store.client().put_item().table_name(&store.tables().main);
    let put = put.item("pk", aws_sdk_dynamodb::types::AttributeValue::S("SCHEMA".to_owned()));
    let put = put.item("sk", aws_sdk_dynamodb::types::AttributeValue::S("VERSION".to_owned()));
    put.item("v", aws_sdk_dynamodb::types::AttributeValue::N(newer.to_string())).send().await.unwrap();
    for answer in [store.schema_check().await, store.schema_claim().await] {
        let Err(error @ StoreError::Newer { .. }) = answer else { panic!("{answer:?}") };
        let sentence = format!(
            "the tables were written by a newer version of Skymeter (format {newer}, this one knows {})",
            store::SCHEMA_VERSION
        );
        assert_eq!(error.to_string(), sentence);
    }
}
