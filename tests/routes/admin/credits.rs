//! `/api/admin/users/{id}/custom-credits`.

use super::{ADMIN, Desk, code, wrong};
use domain::wallet::Kind;
use domain::{Amount, Unit};
use providers::FollowsSetting;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tests::{CENT, TestApp, id, registered};

const PATH: &str = "users/usr_1/custom-credits";

async fn desk() -> Desk {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    desk
}

fn body(amount: &str) -> Value {
    json!({ "amount": amount, "reason": "Goodwill" })
}

#[tokio::test]
async fn credits_are_given_and_taken_below_zero_with_a_warning() {
    let desk = desk().await;
    let given = desk.post(PATH, json!({ "amount": "20.000001", "reason": " For the outage " })).await;
    assert_eq!(
        (given.status, &given.json),
        (
            201,
            &json!({
                "transaction": {
                    "id": "txn_usd_0_1", "type": "admin", "unit": "usd", "amount": "20.000001", "before": "0.00",
                    "after": "20.000001", "actor": ADMIN, "reason": "For the outage", "reference": null,
                    "created_at": "2026-11-10T00:00:00Z",
                },
                "balance": "20.000001", "unit": "usd", "warning": null,
            })
        )
    );
    let taken = desk.delete(PATH, Some(json!({ "amount": 25, "reason": "Booked twice" }))).await;
    assert_eq!((taken.status, &taken.json["balance"]), (200, &json!("-4.999999")));
    assert_eq!(taken.json["transaction"]["amount"], json!("-25.00"));
    assert_eq!(taken.json["warning"], json!("The balance is negative: -4.999999 USD."));
    let pages = desk.app.pages("usr_1").await;
    assert_eq!(pages.len(), 2);
    assert!(pages.iter().all(|page| page.kind == Kind::Admin && page.actor.as_deref() == Some(ADMIN)));
    assert_eq!(pages[1].reason.as_deref(), Some("Booked twice"));
    desk.app.verify().await;
    // What it was, what it is, why and which page: found for both.
    let [given, taken] = [desk.audit("credits.add").await, desk.audit("credits.remove").await];
    assert_eq!((given.len(), taken.len()), (1, 1));
    assert_eq!((taken[0].actor.as_str(), taken[0].object.as_str()), (ADMIN, "user/usr_1"));
    assert_eq!((taken[0].reason.as_deref(), &taken[0].before["balance"]), (Some("Booked twice"), &json!("20.000001")));
    let after = json!({ "balance": "-4.999999", "amount": "-25.00", "unit": "usd", "transaction": "txn_usd_0_2" });
    assert_eq!(taken[0].after, after);
}

#[tokio::test]
async fn bad_amounts_and_reasons_are_refused_by_field_and_nothing_is_posted() {
    let desk = desk().await;
    for amount in [
        json!("0"),
        json!("-1"),
        json!("10000.000001"),
        json!("1.0000001"),
        json!("NaN"),
        json!("1e3"),
        json!("1,5"),
        json!(""),
        json!("9".repeat(40)),
        json!("\u{661}"),
        json!(null),
        json!(true),
        json!([1]),
    ] {
        for method in ["POST", "DELETE"] {
            let body = json!({ "amount": amount, "reason": "x" });
            let answer = desk.keyed(method, PATH, "k", body).await;
            assert_eq!((answer.status, wrong(&answer)), (422, vec!["/amount".to_owned()]), "{method} {amount}");
        }
    }
    for (body, pointer) in [
        (json!({ "amount": "1" }), "/reason"),
        (json!({ "amount": "1", "reason": "" }), "/reason"),
        (json!({ "amount": "1", "reason": "  " }), "/reason"),
        (json!({ "amount": "1", "reason": "a\nb" }), "/reason"),
        (json!({ "amount": "1", "reason": "x".repeat(501) }), "/reason"),
        (json!({ "amount": "1", "reason": "x", "currency": "EUR" }), "/currency"),
        (json!({ "reason": "x" }), "/amount"),
    ] {
        let answer = desk.post(PATH, body.clone()).await;
        assert_eq!((answer.status, wrong(&answer)), (422, vec![pointer.to_owned()]), "{body}");
    }
    assert_eq!(code(&desk.post("users/usr_9/custom-credits", body("1")).await), (404, "not_found"));
    assert_eq!(code(&desk.delete("users/usr_9/custom-credits", Some(body("1"))).await), (404, "not_found"));
    assert_eq!(desk.get("users/usr_9/custom-credits").await.status, 404);
    assert_eq!(desk.delete(PATH, None).await.status, 415);
    assert!(desk.app.pages("usr_1").await.is_empty() && desk.app.pages("usr_9").await.is_empty());
    assert!(desk.audit("credits.add").await.is_empty());
    // The most there is, to the last digit.
    assert_eq!(desk.post(PATH, body("10000")).await.status, 201);
}

#[tokio::test]
async fn the_same_key_is_one_page_and_another_body_is_a_conflict() {
    let desk = desk().await;
    let first = desk.keyed("POST", PATH, "k-1", body("5")).await;
    let again = desk.keyed("POST", PATH, "k-1", body("5")).await;
    assert_eq!((first.status, again.status, &first.json), (201, 201, &again.json));
    assert_eq!(again.headers.get("idempotency-replayed").map(String::as_str), Some("true"));
    assert_eq!(code(&desk.keyed("POST", PATH, "k-1", body("6")).await), (409, "key_reused"));
    assert_eq!(desk.keyed("DELETE", PATH, "k-2", body("1")).await.status, 200);
    let again = desk.keyed("DELETE", PATH, "k-2", body("1")).await;
    assert_eq!(again.headers.get("idempotency-replayed").map(String::as_str), Some("true"));
    assert_eq!((desk.app.pages("usr_1").await.len(), desk.app.balance("usr_1").await), (2, 4_000_000));
    // A day later the answers are forgotten, and the ledger still knows.
    desk.app.pass(48);
    let late = desk.keyed("POST", PATH, "k-1", body("5")).await;
    assert_eq!((late.status, &late.json["transaction"]["id"]), (201, &json!("txn_usd_0_1")));
    assert_eq!(late.headers.get("idempotency-replayed"), None);
    assert_eq!(code(&desk.keyed("DELETE", PATH, "k-1", body("5")).await), (409, "key_reused"));
    assert_eq!(desk.app.pages("usr_1").await.len(), 2);
    assert_eq!(desk.audit("credits.add").await.len(), 1);
    // Without a key every request is its own.
    desk.post(PATH, body("1")).await;
    desk.post(PATH, body("1")).await;
    assert_eq!(desk.app.balance("usr_1").await, 6_000_000);
}

#[tokio::test]
async fn two_admins_may_use_the_same_key() {
    let desk = desk().await;
    desk.keyed("POST", PATH, "1", body("5")).await;
    let desk = desk.by("usr_other").await;
    assert_eq!(desk.keyed("POST", PATH, "1", body("5")).await.status, 201);
    assert_eq!(desk.app.balance("usr_1").await, 10_000_000);
}

#[tokio::test]
async fn a_request_that_died_after_the_page_is_completed_by_its_replay() {
    let (desk, failing) = Desk::refusing("PutItem", "AUDIT#").await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    failing.store(true, Ordering::Relaxed);
    let first = desk.keyed("POST", PATH, "k", body("5")).await;
    assert_eq!(code(&first), (503, "unavailable"));
    assert_eq!((desk.app.balance("usr_1").await, desk.audit("credits.add").await.len()), (5_000_000, 0));
    failing.store(false, Ordering::Relaxed);
    desk.app.pass_secs(90);
    for _ in 0..2 {
        let again = desk.keyed("POST", PATH, "k", body("5")).await;
        assert_eq!((again.status, &again.json["transaction"]["id"]), (201, &json!("txn_usd_0_1")));
    }
    let records = desk.audit("credits.add").await;
    assert_eq!((desk.app.balance("usr_1").await, records.len()), (5_000_000, 1));
    // The record is the page's: it bears the page's time, not the replay's.
    assert_eq!(records[0].at, desk.app.at(0));
    assert_eq!(records[0].before, json!({ "balance": "0.00", "unit": "usd" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_on_one_wallet_beside_usage_add_up_to_the_last_digit() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    let desk = Desk::with(app, Arc::new(FollowsSetting)).await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    desk.app.pass(3);
    let changes = (1..=64_i64).map(|n| {
        let desk = &desk;
        async move {
            let body = body(&format!("0.{n:06}"));
            if n % 3 == 0 { desk.delete(PATH, Some(body)).await.status } else { desk.post(PATH, body).await.status }
        }
    });
    let (statuses, ()) = tokio::join!(futures::future::join_all(changes), desk.app.bill());
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    let sum: i64 = (1..=64).map(|n| if n % 3 == 0 { -n } else { n }).sum();
    assert_eq!(desk.app.balance("usr_1").await, sum - 3 * CENT);
    assert_eq!(desk.app.pages("usr_1").await.len(), 65);
    desk.app.verify().await;
    let (added, removed) = (desk.audit("credits.add").await.len(), desk.audit("credits.remove").await.len());
    assert_eq!((added, removed), (43, 21));
}

#[tokio::test]
async fn transactions_are_listed_newest_first_by_type_and_page_by_page() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    let desk = Desk::with(app, Arc::new(FollowsSetting)).await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    desk.post(PATH, body("1")).await;
    desk.app.hours(3).await;
    desk.post(PATH, body("2")).await;
    let all = desk.get(PATH).await;
    assert_eq!(all.json["balance"], json!({ "amount": "2.97", "unit": "usd" }));
    let listed = |answer: &tests::Answer| {
        let rows = answer.json["data"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().trim_start_matches("txn_usd_0_").to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!((listed(&all), &all.json["next_cursor"]), ("5 4 3 2 1".to_owned(), &json!(null)));
    assert_eq!(all.json["data"][1]["type"], json!("usage"));
    let mut pages = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = desk.get(&path).await;
        pages.push(listed(&page));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        path = format!("{PATH}?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, ["5 4", "3 2", "1"]);
    let admin = desk.get(&format!("{PATH}?type=admin&limit=1")).await;
    let cursor = admin.json["next_cursor"].as_str().unwrap();
    let rest = desk.get(&format!("{PATH}?type=admin&limit=1&cursor={cursor}")).await;
    assert_eq!((listed(&admin), listed(&rest), &rest.json["next_cursor"]), ("5".into(), "1".into(), &json!(null)));
    for query in ["type=gift", "limit=101", "cursor=eyJsYW5lIjotMX0", "x=1"] {
        assert_eq!(desk.get(&format!("{PATH}?{query}")).await.status, 400, "{query}");
    }
    // The ledger's dates, as customers give them: two pages and the first hour's, then the rest of the day.
    for (query, found) in [
        ("from=2026-11-10", "5 4 3 2 1"),
        ("to=2026-11-10T01:00:06Z", "2 1"),
        ("from=2026-11-10T01:00:00Z&to=2026-11-10&type=usage", "4 3 2"),
        ("from=2026-11-11", ""),
    ] {
        assert_eq!(listed(&desk.get(&format!("{PATH}?{query}")).await), found, "{query}");
    }
    for query in ["from=yesterday", "from=2026-11-11&to=2026-11-10"] {
        assert_eq!(desk.get(&format!("{PATH}?{query}")).await.status, 400, "{query}");
    }
    // A position nobody gave out finds nothing that is not theirs.
    let cursor = api::write_cursor(&json!({ "lanes": [["usd", 7, 9, 1], ["token", 0, 9, 1]] })).unwrap();
    assert_eq!(listed(&desk.get(&format!("{PATH}?cursor={cursor}")).await), "");
    let balance = desk.app.system.store.wallet_balance(&id("usr_1"), Unit::Usd).await.unwrap();
    assert_eq!(balance.amount, Amount::from_steps(2_970_000));
}

#[tokio::test]
async fn lanes_are_one_list_newest_first_however_it_is_cut() {
    let app = TestApp::new().await;
    let facts: Vec<_> = (0..501).map(|n| registered(&format!("srv-{n:03}"), "usr_1", app.at(1))).collect();
    app.tell(&facts).await;
    let desk = Desk::with(app, Arc::new(FollowsSetting)).await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    desk.app.hours(3).await;
    let rows = |answer: &tests::Answer| answer.json["data"].as_array().unwrap().clone();
    let whole = rows(&desk.get(PATH).await);
    assert_eq!(whole.len(), 6);
    assert!(whole.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()), "{whole:?}");
    for limit in 1..=6 {
        let (mut joined, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("{PATH}?limit={limit}{cursor}")).await;
            joined.extend(rows(&page));
            let Some(next) = page.json["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(joined, whole, "{limit}");
    }
}
