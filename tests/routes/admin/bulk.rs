//! `/api/admin/custom-credits/bulk`.

use super::{Desk, code, wrong};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const PATH: &str = "custom-credits/bulk";

fn row(user: &str, amount: &str) -> Value {
    json!({ "user_id": user, "amount": amount, "reason": "Outage of 2 November" })
}

async fn users(desk: &Desk, count: u32) {
    for n in 0..count {
        desk.user(&format!("usr_{n}"), &format!("u{n}@example.com"), "", "").await;
    }
}

#[tokio::test]
async fn every_row_is_posted_and_told() {
    let desk = Desk::new().await;
    users(&desk, 3).await;
    // The same user twice is meant so.
    let rows = json!({ "rows": [row("usr_0", "1"), row("usr_1", "2.5"), row("usr_0", "1"), row("usr_2", "0.000001")] });
    let answer = desk.post(PATH, rows).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    assert_eq!((&answer.json["posted"], &answer.json["total"]), (&json!(4), &json!("4.500001")));
    let results = answer.json["results"].as_array().unwrap();
    let told: Vec<_> = results.iter().map(|r| (r["user_id"].clone(), r["transaction"]["id"].clone())).collect();
    let expected = [("usr_0", 1), ("usr_1", 1), ("usr_0", 2), ("usr_2", 1)];
    assert_eq!(told, expected.map(|(user, n)| (json!(user), json!(format!("txn_usd_0_{n}")))));
    assert_eq!(desk.app.balance("usr_0").await, 2_000_000);
    assert_eq!(desk.audit("credits.add").await.len(), 4);
    desk.app.verify().await;
}

#[tokio::test]
async fn nothing_is_posted_while_anything_is_wrong() {
    let desk = Desk::new().await;
    users(&desk, 2).await;
    let too_many: Vec<Value> = (0..101).map(|_| row("usr_0", "1")).collect();
    for (rows, pointers) in [
        (json!([row("usr_0", "1"), row("usr_1", "0"), row("usr_0", "x")]), vec!["/rows/1/amount", "/rows/2/amount"]),
        (json!([row("usr_0", "1"), row("usr_8", "1"), row("usr_9", "1")]), vec!["/rows/1/user_id", "/rows/2/user_id"]),
        (json!([row("usr_0", "1"), row("a b", "1")]), vec!["/rows/1/user_id"]),
        (json!([row("usr_0", "1"), { "user_id": "usr_1", "amount": "1" }]), vec!["/rows/1/reason"]),
        (json!([row("usr_0", "1"), { "user_id": "usr_1", "amount": "1", "reason": "x", "x": 1 }]), vec!["/rows/1/x"]),
        (json!([]), vec!["/rows"]),
        (json!(too_many), vec!["/rows"]),
    ] {
        let answer = desk.post(PATH, json!({ "rows": rows })).await;
        assert_eq!((answer.status, wrong(&answer)), (422, pointers.iter().map(ToString::to_string).collect()));
    }
    assert!(desk.app.pages("usr_0").await.is_empty());
    assert!(desk.audit("credits.add").await.is_empty());
}

#[tokio::test]
async fn a_hundred_rows_fit() {
    let desk = Desk::new().await;
    users(&desk, 100).await;
    let rows: Vec<Value> = (0..100).map(|n| row(&format!("usr_{n}"), "10000")).collect();
    let answer = desk.post(PATH, json!({ "rows": rows })).await;
    assert_eq!((&answer.json["posted"], &answer.json["total"]), (&json!(100), &json!("1000000.00")));
    desk.app.verify().await;
}

#[tokio::test]
async fn what_a_request_that_died_left_open_its_replay_completes_and_nothing_is_posted_twice() {
    let (desk, failing) = Desk::refusing("TransactWriteItems", "WALLET#usr_2#").await;
    users(&desk, 4).await;
    failing.store(true, Ordering::Relaxed);
    let body = json!({ "rows": (0..4).map(|n| row(&format!("usr_{n}"), "1")).collect::<Vec<_>>() });
    let first = desk.keyed("POST", PATH, "k", body.clone()).await;
    assert_eq!(code(&first), (503, "incomplete"));
    assert!(first.json["detail"].as_str().unwrap().starts_with("2 of 4 rows"), "{:?}", first.json);
    failing.store(false, Ordering::Relaxed);
    // What is done in half is nobody's to edit, neither now nor later; the same again goes on with it.
    let edited = json!({ "rows": (0..4).rev().map(|n| row(&format!("usr_{n}"), "1")).collect::<Vec<_>>() });
    assert_eq!(code(&desk.keyed("POST", PATH, "k", edited.clone()).await), (409, "key_reused"));
    desk.app.pass_secs(61);
    assert_eq!(code(&desk.keyed("POST", PATH, "k", edited.clone()).await), (409, "key_reused"));
    for replayed in [None, Some("true")] {
        let again = desk.keyed("POST", PATH, "k", body.clone()).await;
        assert_eq!((again.status, &again.json["posted"]), (200, &json!(4)));
        assert_eq!(again.headers.get("idempotency-replayed").map(String::as_str), replayed);
    }
    for n in 0..4 {
        assert_eq!(desk.app.balance(&format!("usr_{n}")).await, 1_000_000);
    }
    assert_eq!(desk.audit("credits.add").await.len(), 4);
    // After the answer is forgotten, the ledger still knows the key: another amount is a conflict, row by row.
    desk.app.pass(48);
    let moved = desk.keyed("POST", PATH, "k", edited).await;
    assert_eq!((moved.status, &moved.json["posted"], desk.app.balance("usr_3").await), (200, &json!(4), 1_000_000));
    desk.app.pass(48);
    let body = json!({ "rows": [row("usr_0", "1"), row("usr_1", "2"), row("usr_0", "3")] });
    let late = desk.keyed("POST", PATH, "k", body).await;
    let statuses: Vec<_> = late.json["results"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["posted", "conflict", "posted"]);
    assert_eq!((desk.app.balance("usr_0").await, desk.app.balance("usr_1").await), (4_000_000, 1_000_000));
    desk.app.verify().await;
}
