//! The chaos test must be able to fail. Here the product is broken on purpose, from outside, and the test has to notice.

use super::chaos::{play, story};
use aws_lambda_events::sqs::SqsBatchResponse;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::rating::Counter;
use serde_json::{Value, json};
use skymeter::chaos::{Chaos, Rates, Tamper};
use skymeter::embedded::{Answer, Call};
use std::collections::HashMap;
use std::sync::Arc;
use store::{PAGE_ATTRIBUTE, decode_page, encode_page};

const SEEDS: u64 = 12;

/// A biller without the put condition: pages are overwritten.
#[derive(Debug)]
struct Unconditional;

impl Tamper for Unconditional {
    fn request(&self, call: &mut Call) {
        if call.operation == "PutItem" && call.body.contains("-ledger\"") {
            let mut body: Value = serde_json::from_str(&call.body).expect("the SDK writes JSON");
            body.as_object_mut().expect("an object").remove("ConditionExpression");
            call.body = body.to_string();
        }
    }
}

/// A biller that ignores `billed_through`: each page it reads says that the last hour was not billed.
#[derive(Debug)]
struct Forgetful;

impl Tamper for Forgetful {
    fn answer(&self, call: &Call, answer: &mut Answer) {
        let is_head = call.operation == "Query" && call.body.contains("\"ScanIndexForward\":false");
        if !is_head || !call.body.contains("-ledger\"") {
            return;
        }
        let mut body: Value = serde_json::from_str(&answer.1).expect("the database writes JSON");
        for item in body["Items"].as_array_mut().into_iter().flatten() {
            rewind(item);
        }
        answer.1 = body.to_string();
    }
}

fn rewind(item: &mut Value) {
    let text = |name: &str, kind: &str| item[name][kind].as_str().unwrap_or_default().to_owned();
    let Some(bytes) = base64(&text(PAGE_ATTRIBUTE, "B")) else { return };
    let read = HashMap::from([
        ("pk".to_owned(), AttributeValue::S(text("pk", "S"))),
        ("sk".to_owned(), AttributeValue::N(text("sk", "N"))),
        (PAGE_ATTRIBUTE.to_owned(), AttributeValue::B(Blob::new(bytes))),
    ]);
    let Ok(mut page) = decode_page(&read) else { return };
    page.lines.clear();
    for meter in &mut page.meters {
        let through = meter.counter.through.minus(1).max(meter.since);
        (meter.counter, meter.ended_at) = (Counter { through, secs: meter.counter.secs.saturating_sub(3_600) }, None);
    }
    if let Some(AttributeValue::B(blob)) = encode_page(&page).expect("a page").get(PAGE_ATTRIBUTE) {
        item[PAGE_ATTRIBUTE] = json!({ "B": to_base64(blob.as_ref()) });
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    aws_smithy_types::base64::decode(text).ok()
}

fn to_base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

/// A biller that reports a failed message as done.
#[derive(Debug)]
struct Optimist;

impl Tamper for Optimist {
    fn report(&self, response: &mut SqsBatchResponse) {
        response.batch_item_failures.clear();
    }
}

/// Whether one of the seeds notices.
async fn noticed(rates: Rates, tamper: impl Fn() -> Box<dyn Tamper>) -> bool {
    for seed in 0..SEEDS {
        let story = story(seed);
        let plain = play(&story, None).await.expect("without faults it holds");
        let broken = play(&story, Some(Arc::new(Chaos::tampered(seed, rates, tamper())))).await;
        if broken.ok() != Some(plain) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_biller_without_the_put_condition_is_caught() {
    assert!(noticed(Rates::default(), || Box::new(Unconditional)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_biller_that_ignores_billed_through_is_caught() {
    assert!(noticed(Rates::default(), || Box::new(Forgetful)).await);
}

/// A message that is lost by its own consumer is healed by the next run, as any lost message: so this one shows where
/// nothing comes after it. The last hour's run is the only one, and its first delivery always fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_biller_that_reports_a_failed_message_as_done_is_caught() {
    let heavy = Rates { throttled: 600, unanswered: 10, conflict: 10, ..Rates::NONE };
    assert!(done_without_being_billed(heavy, Box::new(Optimist)).await > 0);
    // An honest biller with the same faults: whatever is not billed is still on the queue.
    assert_eq!(done_without_being_billed(heavy, Box::new(Honest)).await, 0);
}

#[derive(Debug)]
struct Honest;

impl Tamper for Honest {}

/// Servers that are due although no message for them is left.
async fn done_without_being_billed(rates: Rates, tamper: Box<dyn Tamper>) -> usize {
    let chaos = Arc::new(Chaos::tampered(3, rates, tamper));
    let app = tests::TestApp::with(None, Some(Arc::clone(&chaos))).await;
    chaos.set_quiet(true);
    let facts: Vec<_> =
        (0..40).map(|n| tests::registered(&format!("srv-{n}"), &format!("cus-{n}"), app.at(1))).collect();
    app.tell(&facts).await;
    app.pass(1);
    app.system.metering.open_run(app.time.now()).await.expect("the run opens");
    app.system.pump_shards().await.expect("the shards are listed");
    chaos.set_quiet(false);
    app.system.pump_jobs(&|_| {}).await.expect("the queue answers");
    chaos.set_quiet(true);
    let waiting = app.system.jobs.all().expect("the queue answers").join("\n");
    let due = app.proof().await.due;
    due.iter().filter(|fault| !waiting.contains(&format!("\"{}\"", fault.place.trim_start_matches("server ")))).count()
}
