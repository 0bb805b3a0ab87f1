//! Least privilege, both ways: what the functions do here, seen at the SDK's HTTP connector, is what their roles in the
//! template allow. Nothing is missing, and nothing is granted that is never used.

use super::template::{Statement, statements};
use async_trait::async_trait;
use biller::Biller;
use providers::{Depth, Queue, QueueError, Received};
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::Call;
use skymeter::queue::EmbeddedQueue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::StoreError;
use tests::{TestApp, changed, ended, registered};

/// `(action, resource)` by function.
type Used = BTreeMap<&'static str, BTreeSet<(String, String)>>;

/// Writes down what is called, for the function whose turn it is.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<(&'static str, Used)>>);

impl Recorder {
    /// From now on it is this function's turn; nobody's with an empty name.
    fn turn(&self, function: &'static str) {
        self.0.lock().unwrap().0 = function;
    }

    fn saw(&self, action: &str, resource: &str) {
        let mut state = self.0.lock().unwrap();
        let function = state.0;
        if !function.is_empty() {
            state.1.entry(function).or_default().insert((action.to_owned(), resource.to_owned()));
        }
    }

    fn used(&self) -> Used {
        self.0.lock().unwrap().1.clone()
    }
}

impl Tamper for Recorder {
    fn request(&self, call: &mut Call) {
        let body: serde_json::Value = serde_json::from_str(&call.body).unwrap();
        let table = |value: &serde_json::Value| {
            let name = value["TableName"].as_str().unwrap_or_default();
            name.strip_prefix("skymeter-").unwrap_or(name).to_owned()
        };
        match call.operation.as_str() {
            // Transactions have no action of their own: they are authorised by what is inside.
            "TransactWriteItems" => {
                for item in body["TransactItems"].as_array().unwrap() {
                    for (kind, value) in item.as_object().unwrap() {
                        let action = if kind == "ConditionCheck" { kind.clone() } else { kind.clone() + "Item" };
                        self.saw(&format!("dynamodb:{action}"), &table(value));
                    }
                }
            }
            "BatchGetItem" | "BatchWriteItem" => {
                for name in body["RequestItems"].as_object().unwrap().keys() {
                    self.saw(&format!("dynamodb:{}", call.operation), name.trim_start_matches("skymeter-"));
                }
            }
            operation => self.saw(&format!("dynamodb:{operation}"), &table(&body)),
        }
    }
}

/// A queue whose sends are written down. `SqsQueue` sends in batches, which `sqs:SendMessage` authorises.
#[derive(Debug)]
struct Recorded {
    inner: EmbeddedQueue,
    name: &'static str,
    recorder: Recorder,
}

#[async_trait]
impl Queue for Recorded {
    async fn send(&self, bodies: Vec<String>) -> Result<(), QueueError> {
        self.recorder.saw("sqs:SendMessage", self.name);
        self.inner.send(bodies).await
    }

    async fn receive(&self, max: usize) -> Result<Vec<Received>, QueueError> {
        self.recorder.saw("sqs:ReceiveMessage", self.name);
        self.inner.receive(max).await
    }

    async fn delete(&self, receipts: Vec<String>) -> Result<(), QueueError> {
        self.recorder.saw("sqs:DeleteMessage", self.name);
        self.inner.delete(receipts).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.recorder.saw("sqs:GetQueueAttributes", self.name);
        self.inner.depth().await
    }
}

/// A run and all its work, each function in its turn.
async fn run(app: &TestApp, recorder: &Recorder) {
    let system = &app.system;
    recorder.turn("metering");
    system.metering.open_run(app.time.now()).await.unwrap();
    system.pump_shards().await.unwrap();
    // A biller of its own, because the queue it parks on is looked at, too.
    let parked = Recorded { inner: system.parked.clone(), name: "parked", recorder: recorder.clone() };
    let biller = Biller::new(system.store.clone(), Arc::new(parked), app.time.clock());
    loop {
        recorder.turn("");
        let messages = system.jobs.receive(10).await.unwrap();
        if messages.is_empty() {
            break;
        }
        recorder.turn("biller");
        let response = biller.handle(skymeter::system::event(&messages), Duration::from_secs(60)).await;
        recorder.turn("");
        assert!(response.batch_item_failures.is_empty());
        system.jobs.delete(messages.into_iter().map(|message| message.receipt).collect()).await.unwrap();
    }
    recorder.turn("projector");
    system.pump_feed().await.unwrap();
    recorder.turn("health");
    app.get("/api/health/billing-daemon").await.unwrap();
    recorder.turn("");
}

/// A story in which every function does all it can: ends, transfers, late facts, prices, balances below zero, parked jobs.
async fn story() -> Used {
    let recorder = Recorder::default();
    let chaos = Chaos::tampered(1, Rates::NONE, Box::new(recorder.clone()));
    let mut app = TestApp::with(None, Some(Arc::new(chaos))).await;
    app.allow_leftovers();
    let recorded = |inner: &EmbeddedQueue, name| -> Arc<dyn Queue> {
        Arc::new(Recorded { inner: inner.clone(), name, recorder: recorder.clone() })
    };
    app.system.metering.jobs = recorded(&app.system.jobs, "jobs");
    app.system.metering.shards = recorded(&app.system.shards, "metering");

    // What each function does when it starts.
    recorder.turn("metering");
    app.system.store.schema_claim().await.unwrap();
    for function in ["biller", "projector"] {
        recorder.turn(function);
        app.system.store.schema_check().await.unwrap();
    }
    recorder.turn("");
    app.system.store.billing_switch(true, app.time.now()).await.unwrap();
    let mut unknown = registered("srv-odd", "cus-3", app.at(1));
    if let store::Fact::Registered { plan, .. } = &mut unknown {
        *plan = tests::id("gone");
    }
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-1", app.at(1)), unknown]).await;
    app.tell(&[ended("srv-2", app.at(30))]).await;
    for _ in 0..3 {
        app.pass(1);
        run(&app, &recorder).await;
    }
    // Late facts, charged and credited; a server that comes back; a tenure whose meter is long gone.
    app.tell(&[changed("srv-1", "error", app.at(65)), registered("srv-3", "cus-1", app.at(70))]).await;
    app.pass(9);
    run(&app, &recorder).await;
    app.pass(30);
    app.tell(&[ended("srv-2", app.at(130))]).await;
    for _ in 0..9 {
        run(&app, &recorder).await;
        app.pass(1);
    }
    recorder.used()
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
        ("MonitorTokenSecretArn", "monitor token"),
    ];
    let known = names.iter().find(|(text, _)| *text == statement.resource);
    known.map_or_else(|| panic!("an unknown resource: {}", statement.resource), |(_, name)| (*name).to_owned())
}

#[tokio::test]
async fn every_function_may_do_what_it_does_and_nothing_else() {
    let mut used = story().await;
    // Read at the start of the process, before there is anything this test could look at; `api::Tokens` has its own test.
    used.entry("health").or_default().insert(("secretsmanager:GetSecretValue".to_owned(), "monitor token".to_owned()));
    for (function, used) in used {
        let granted: BTreeSet<(String, String)> = statements(function)
            .iter()
            .filter(|statement| statement.is_the_codes_own())
            .flat_map(|statement| statement.actions.iter().map(|action| (action.clone(), resource(statement))))
            .collect();
        let missing: Vec<_> = used.difference(&granted).collect();
        let unused: Vec<_> = granted.difference(&used).collect();
        assert!(missing.is_empty() && unused.is_empty(), "{function}: missing {missing:?}, never used {unused:?}");
    }
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
