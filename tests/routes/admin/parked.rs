//! `/api/admin/payments/parked`.

use super::{ADMIN, Desk, code, wrong};
use domain::payment::Processor;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use store::Unmatched;
use tests::Answer;

const LIST: &str = "payments/parked";
/// The action in the audit log.
const DEAL_WITH: &str = "parked.deal_with";

fn told(desk: &Desk, object: &str, event: Option<&str>, reason: &str) -> Unmatched {
    let processor = if object.starts_with("pi_") { Processor::Stripe } else { Processor::Paypal };
    let (event, at) = (event.map(str::to_owned), desk.app.time.now());
    Unmatched { processor, object: object.to_owned(), payment: None, event, reasons: vec![reason.to_owned()], at }
}

/// The processor reports something.
async fn report(desk: &Desk, object: &str, event: Option<&str>, reason: &str) {
    desk.app.system.store.unmatched_put(&told(desk, object, event, reason)).await.unwrap();
}

async fn deal(desk: &Desk, id: &str, note: &str) -> Answer {
    desk.put(&format!("{LIST}/{id}"), json!({ "status": "dealt_with", "note": note })).await
}

async fn deal_with_version(desk: &Desk, id: &str, note: &str, version: &Value) -> Answer {
    desk.put(&format!("{LIST}/{id}"), json!({ "status": "dealt_with", "note": note, "version": version })).await
}

async fn rows(desk: &Desk, query: &str) -> Vec<Value> {
    let answer = desk.get(&format!("{LIST}{query}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    assert_eq!(answer.json["next_cursor"], Value::Null);
    answer.json["data"].as_array().unwrap().clone()
}

async fn ids(desk: &Desk, query: &str) -> Vec<String> {
    rows(desk, query).await.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_parked_is_shown_with_all_that_is_known() {
    let desk = Desk::new().await;
    assert!(rows(&desk, "").await.is_empty());
    report(&desk, "pi_1", None, "it is not in USD").await;
    desk.app.pass_secs(60);
    let more = Unmatched { payment: Some("pay_1".to_owned()), ..told(&desk, "pi_1", Some("evt_1"), "it is twice") };
    desk.app.system.store.unmatched_put(&more).await.unwrap();
    report(&desk, "pi_1", Some("evt_2"), "it is twice").await;
    report(&desk, "WH-9-A", Some("WH-9-A"), "it fits no payment").await;
    assert_eq!(
        rows(&desk, "").await,
        [
            json!({
                "id": "paypal_WH-9-A", "processor": "paypal", "object": "WH-9-A", "payment": null, "events": ["WH-9-A"],
                "reasons": ["it fits no payment"], "first_seen": "2026-11-10T00:01:00Z", "told_again": null,
                "status": "open", "version": 1, "dealt_with": null,
            }),
            json!({
                "id": "stripe_pi_1", "processor": "stripe", "object": "pi_1", "payment": "pay_1",
                "events": ["evt_1", "evt_2"], "reasons": ["it is not in USD", "it is twice"],
                "first_seen": "2026-11-10T00:00:00Z", "told_again": "2026-11-10T00:01:00Z",
                "status": "open", "version": 3, "dealt_with": null,
            }),
        ]
    );
}

#[tokio::test]
async fn it_is_dealt_with_once_however_often_that_is_said_and_written_down() {
    let desk = Desk::new().await;
    for object in ["pi_1", "pi_2"] {
        report(&desk, object, Some("evt_1"), "it fits no payment").await;
    }
    desk.app.pass_secs(60);
    let first = deal(&desk, "stripe_pi_1", " Refunded at Stripe ").await;
    assert_eq!(first.status, 200, "{:?}", first.json);
    let said = json!({ "by": ADMIN, "at": "2026-11-10T00:01:00Z", "note": "Refunded at Stripe" });
    assert_eq!((&first.json["status"], &first.json["dealt_with"]), (&json!("dealt_with"), &said));
    for query in ["", "?status=open"] {
        assert_eq!(ids(&desk, query).await, ["stripe_pi_2"]);
    }
    assert_eq!(rows(&desk, "?status=dealt_with").await, std::slice::from_ref(&first.json));
    // The same again, by whomever and whenever, is no change; nor is what the processor has said before.
    desk.app.pass_secs(60);
    let desk = desk.by("usr_second").await;
    let again = deal_with_version(&desk, "stripe_pi_1", "Refunded at Stripe", &json!(1)).await;
    report(&desk, "pi_1", Some("evt_1"), "it fits no payment").await;
    report(&desk, "pi_1", None, "it fits no payment").await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    assert_eq!(rows(&desk, "?status=dealt_with").await, [first.json]);
    let records = desk.audit(DEAL_WITH).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.actor.as_str(), record.object.as_str()), (ADMIN, "parked/stripe_pi_1"));
    assert_eq!(record.before, json!({ "status": "open" }));
    assert_eq!(record.after, json!({ "status": "dealt_with", "note": "Refunded at Stripe" }));
    // Another note is another word on it.
    assert_eq!(deal(&desk, "stripe_pi_1", "It was ours").await.json["dealt_with"]["by"], "usr_second");
    let records = desk.audit(DEAL_WITH).await;
    assert_eq!((records.len(), &records[0].before["note"]), (2, &json!("Refunded at Stripe")));
    let log = desk.get(&format!("audit?object=parked/stripe_pi_1&action={DEAL_WITH}")).await;
    assert_eq!(log.json["data"][1]["actor"], ADMIN);
}

#[tokio::test]
async fn news_open_it_again_and_the_word_of_whoever_dealt_with_it_stays() {
    let desk = Desk::new().await;
    report(&desk, "pi_1", Some("evt_1"), "one").await;
    let of = |payment: &str| Unmatched { payment: Some(payment.to_owned()), ..told(&desk, "pi_1", None, "one") };
    let news = [
        told(&desk, "pi_1", Some("evt_1"), "two"),
        told(&desk, "pi_1", Some("evt_2"), "two"),
        told(&desk, "pi_1", None, "three"),
        of("pay_1"),
        of("pay_2"),
    ];
    for (nth, news) in news.iter().enumerate() {
        let note = format!("note {nth}");
        assert_eq!(deal(&desk, "stripe_pi_1", &note).await.json["status"], "dealt_with");
        desk.app.system.store.unmatched_put(news).await.unwrap();
        let row = &rows(&desk, "").await[0];
        assert_eq!((&row["status"], &row["dealt_with"]["note"]), (&json!("open"), &json!(note)), "{news:?}");
        // What was looked at is no longer what is known.
        let stale = deal_with_version(&desk, "stripe_pi_1", &note, &json!(1)).await;
        assert_eq!(code(&stale), (409, "conflict"));
        let seen = deal_with_version(&desk, "stripe_pi_1", &note, &row["version"]).await;
        assert_eq!((seen.status, &seen.json["status"]), (200, &json!("dealt_with")));
        // Said again, it is old.
        desk.app.system.store.unmatched_put(news).await.unwrap();
        assert!(rows(&desk, "").await.is_empty(), "{news:?}");
    }
    assert_eq!(desk.audit(DEAL_WITH).await.len(), 2 * news.len());
    let row = &rows(&desk, "?status=dealt_with").await[0];
    assert_eq!(row["payment"], "pay_1");
    assert_eq!(row["reasons"], json!(["one", "two", "three", "it is also reported for the payment pay_2"]));
}

#[tokio::test]
async fn however_much_is_reported_the_newest_is_kept_and_opens_it() {
    let desk = Desk::new().await;
    for nth in 0..50 {
        report(&desk, "pi_1", Some(&format!("evt_{nth}")), &format!("reason {nth}")).await;
    }
    deal(&desk, "stripe_pi_1", "That is all").await;
    report(&desk, "pi_1", Some("evt_50"), "reason 50").await;
    let row = &rows(&desk, "").await[0];
    let (events, reasons) = (row["events"].as_array().unwrap(), row["reasons"].as_array().unwrap());
    assert_eq!((events.len(), reasons.len()), (20, 20));
    assert_eq!((&events[0], &events[19], &reasons[19]), (&json!("evt_0"), &json!("evt_50"), &json!("reason 50")));
}

#[tokio::test]
async fn pages_go_through_it_whatever_the_filter_and_even_when_it_changes() {
    let desk = Desk::new().await;
    let mut expected: Vec<String> = Vec::new();
    for nth in 10..30 {
        let object = if nth % 4 == 0 { format!("X-{nth}") } else { format!("pi_{nth}") };
        report(&desk, &object, Some("evt"), "one").await;
        let id = if nth % 4 == 0 { format!("paypal_{object}") } else { format!("stripe_{object}") };
        if nth % 3 == 0 {
            assert_eq!(deal(&desk, &id, "done").await.status, 200);
        } else {
            expected.push(id);
        }
    }
    expected.sort();
    let (mut seen, mut path) = (Vec::new(), format!("{LIST}?limit=3"));
    loop {
        let page = desk.get(&path).await;
        let data = page.json["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        seen.extend(data.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        path = format!("{LIST}?limit=3&cursor={cursor}");
        // Where the next page begins need not be in the list any more.
        assert_eq!(deal(&desk, seen.last().unwrap(), "done").await.status, 200);
    }
    assert_eq!(seen, expected);
    // Six from the beginning, and one on each of the four pages that were not the last.
    assert_eq!(ids(&desk, "?limit=100&status=dealt_with").await.len(), 10);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named_and_changes_nothing() {
    let desk = Desk::new().await;
    let position = |text: &str| api::write_cursor(&text).unwrap();
    for (query, parameter) in [
        ("status=closed".to_owned(), "status"),
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("cursor=%20".to_owned(), "cursor"),
        (format!("cursor={}", position("")), "cursor"),
        (format!("cursor={}", position("stripe_")), "cursor"),
        (format!("cursor={}", position("adyen_pi_1")), "cursor"),
        (format!("cursor={}", position(&format!("stripe_{}", "x".repeat(101)))), "cursor"),
        ("processor=stripe".to_owned(), "processor"),
    ] {
        let answer = desk.get(&format!("{LIST}?{query}")).await;
        assert_eq!((answer.status, wrong(&answer)), (400, vec![parameter.to_owned()]), "{query}");
    }
    report(&desk, "pi_1", Some("evt_1"), "one").await;
    let path = format!("{LIST}/stripe_pi_1");
    for (body, pointer) in [
        (json!({ "status": "dealt_with" }), "/note"),
        (json!({ "note": "done" }), "/status"),
        (json!({ "status": "open", "note": "done" }), "/status"),
        (json!({ "status": 1, "note": "done" }), "/status"),
        (json!({ "status": "dealt_with", "note": " " }), "/note"),
        (json!({ "status": "dealt_with", "note": null }), "/note"),
        (json!({ "status": "dealt_with", "note": "x".repeat(501) }), "/note"),
        (json!({ "status": "dealt_with", "note": "two\nlines" }), "/note"),
        (json!({ "status": "dealt_with", "note": "done", "version": -1 }), "/version"),
        (json!({ "status": "dealt_with", "note": "done", "amount": "1.00" }), "/amount"),
    ] {
        let answer = desk.put(&path, body.clone()).await;
        assert_eq!((answer.status, wrong(&answer)), (422, vec![pointer.to_owned()]), "{body}");
    }
    let long = format!("stripe_{}", "x".repeat(101));
    for id in ["stripe_pi_2", "paypal_pi_1", "pi_1", "stripe_", "stripe", "_pi_1", "stripe_pi%231", "stripe_%FF", &long]
    {
        assert_eq!(code(&deal(&desk, id, "done").await), (404, "not_found"), "{id}");
    }
    assert_eq!(rows(&desk, "").await[0]["version"], 1);
    assert!(desk.audit(DEAL_WITH).await.is_empty());
    assert_eq!(deal(&desk, "stripe_pi_1", &"é".repeat(500)).await.status, 200);
}

#[tokio::test]
async fn an_object_with_the_longest_id_is_dealt_with_and_found_in_the_log() {
    let desk = Desk::new().await;
    let object = format!("pi_{}", "x".repeat(97));
    report(&desk, &object, None, "one").await;
    let id = format!("stripe_{object}");
    assert_eq!(deal(&desk, &id, "done").await.status, 200);
    let log = desk.get(&format!("audit?object=parked/{id}")).await;
    assert_eq!(log.json["data"].as_array().unwrap().len(), 1, "{:?}", log.json);
}

#[tokio::test]
async fn without_its_record_nothing_is_dealt_with() {
    let (desk, failing) = Desk::refusing("TransactWriteItems", "AUDIT#").await;
    report(&desk, "pi_1", None, "one").await;
    failing.store(true, Ordering::Relaxed);
    assert_eq!(deal(&desk, "stripe_pi_1", "done").await.status, 503);
    failing.store(false, Ordering::Relaxed);
    assert_eq!((rows(&desk, "").await.len(), desk.audit(DEAL_WITH).await.len()), (1, 0));
    assert_eq!(deal(&desk, "stripe_pi_1", "done").await.status, 200);
    assert_eq!(desk.audit(DEAL_WITH).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reported_and_dealt_with_at_the_same_time_nothing_is_lost_or_hidden() {
    for is_seen in [true, false] {
        let desk = Desk::new().await;
        report(&desk, "pi_1", Some("evt_first"), "one").await;
        let events: Vec<String> = (0..8).map(|nth| format!("evt_{nth}")).collect();
        let reports = events.iter().map(|event| report(&desk, "pi_1", Some(event), "one"));
        let version = if is_seen { json!(1) } else { Value::Null };
        let notes: Vec<String> = (0..4).map(|nth| format!("note {nth}")).collect();
        let deals = notes.iter().map(|note| deal_with_version(&desk, "stripe_pi_1", note, &version));
        let (_, answers) =
            futures::future::join(futures::future::join_all(reports), futures::future::join_all(deals)).await;
        assert!(answers.iter().all(|answer| [(200, ""), (409, "conflict")].contains(&code(answer))));
        let made = answers.iter().filter(|answer| answer.status == 200).count();
        let records = desk.audit(DEAL_WITH).await;
        assert_eq!(records.len(), made, "{is_seen}");
        let (open, closed) = (rows(&desk, "").await, rows(&desk, "?status=dealt_with").await);
        let row = open.iter().chain(&closed).next().unwrap();
        assert_eq!(open.len() + closed.len(), 1);
        let mut kept: Vec<&str> = row["events"].as_array().unwrap().iter().filter_map(Value::as_str).skip(1).collect();
        kept.sort_unstable();
        assert_eq!(kept, events);
        // Each report and each dealing is one write over what it read.
        assert_eq!(row["version"], 1 + events.len() + made);
        if is_seen {
            // Only the first write can have been made by somebody who had seen all there was: the others open it again.
            assert!(made <= 1 && closed.is_empty(), "{row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_many_times_at_once_is_one_change_and_no_conflict() {
    let desk = Desk::new().await;
    report(&desk, "pi_1", None, "one").await;
    let answers = futures::future::join_all((0..8).map(|_| deal(&desk, "stripe_pi_1", "done"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    assert_eq!(desk.audit(DEAL_WITH).await.len(), 1);
}

#[tokio::test]
async fn an_entry_of_an_older_version_is_read_and_dealt_with() {
    let desk = Desk::new().await;
    report(&desk, "pi_1", Some("evt_1"), "one").await;
    let doc =
        r#"{"processor":"stripe","object":"pi_1","payment":null,"event":"evt_1","reasons":["one"],"at":1762732800}"#;
    let store = &desk.app.system.store;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let put = store.client().put_item().table_name(&store.tables().main);
    let put = put.item("pk", text("UNMATCHED")).item("sk", text("stripe#pi_1")).item("d", text(doc));
    put.item("rev", aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned())).send().await.unwrap();
    assert_eq!(rows(&desk, "").await[0]["first_seen"], "2025-11-10T00:00:00Z");
    assert_eq!(deal(&desk, "stripe_pi_1", "done").await.json["status"], "dealt_with");
}
