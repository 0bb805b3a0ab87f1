//! Moving money: tokens for credits.

use super::billing::{Billing, micros, posts};
use axum::body::Body;
use axum::http::Request;
use domain::Unit;
use domain::tenure::WalletId;
use domain::wallet::Kind;
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use tests::{Answer, CENT, TestApp, id, registered, send};

async fn buy(billing: &Billing, amount: &str, key: Option<&str>) -> Answer {
    let request = Request::post("/api/v1/billing/tokens/add").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", billing.token));
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    send(&billing.router, request.body(Body::from(json!({ "amount": amount }).to_string())).unwrap()).await
}

async fn balances(billing: &Billing) -> (i128, i128) {
    let balance = billing.get("/balance").await;
    (micros(&balance["custom_credits"]["amount"]), micros(&balance["virtfusion_credits"]["amount"]))
}

#[tokio::test]
async fn tokens_cost_a_dollar_a_hundred_and_both_pages_say_so() {
    let app = TestApp::new().await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 20_000_000, "pi_1").await;
    let billing = Billing::of(&app, "usr_1").await;
    let bought = buy(&billing, "12.345678", None).await;
    assert_eq!(bought.status, 201, "{}", bought.json);
    assert_eq!(bought.json["tokens"], json!({ "amount": "1234.5678", "unit": "token" }));
    assert_eq!(bought.json["price"], json!({ "amount": "12.345678", "unit": "usd" }));
    assert_eq!(balances(&billing).await, (7_654_322, 12_345_678));
    for (page, amount) in [("paid", "-12.345678"), ("received", "1234.5678")] {
        let page = &bought.json[page];
        assert_eq!(
            (&page["type"], &page["amount"], &page["actor"]),
            (&json!("transfer"), &json!(amount), &json!("usr_1"))
        );
        let full = billing.get(&format!("/transactions/{}", page["id"].as_str().unwrap())).await;
        assert_eq!(full["reference"], bought.json["paid"]["reference"]);
    }
    app.verify().await;
}

#[tokio::test]
async fn what_cannot_be_paid_for_is_not_bought() {
    let app = TestApp::new().await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 20_000_000, "pi_1").await;
    let billing = Billing::of(&app, "usr_1").await;
    for wrong in
        ["0", "-5", "0.999999", "1000.000001", "1.0000001", "1e3", "NaN", "", " 5", "5 USD", "99999999999999999999"]
    {
        let answer = buy(&billing, wrong, None).await;
        assert_eq!(
            (answer.status, &answer.json["errors"][0]["pointer"]),
            (422, &json!("/amount")),
            "{wrong}: {}",
            answer.json
        );
    }
    let answer = buy(&billing, "20.000001", Some("key")).await;
    assert_eq!((answer.status, answer.json["code"].as_str()), (422, Some("insufficient_balance")));
    assert_eq!(balances(&billing).await, (20_000_000, 0));
    assert_eq!(app.pages("usr_1").await.len(), 1);
    for (body, pointer) in [
        (json!({}), "/amount"),
        (json!({ "amount": "5", "x": 1 }), "/x"),
        (json!([]), ""),
        (json!({ "amount": {} }), "/amount"),
    ] {
        let answer = billing.ask("POST", "/tokens/add", Some(body.clone())).await;
        assert_eq!((answer.status, &answer.json["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    // What failed may be tried again under its key, once there is money.
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 1_000_000, "pi_2").await;
    assert_eq!(buy(&billing, "20.000001", Some("key")).await.status, 201);
}

#[tokio::test]
async fn the_sum_of_all_lanes_must_cover_a_purchase() {
    let app = TestApp::new().await;
    let facts: Vec<_> = (0..600).map(|n| registered(&format!("srv-{n}"), "usr_1", app.at(1))).collect();
    app.tell(&facts).await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 20_000_000, "pi_1").await;
    app.hours(1).await;
    // Lane 0 has 15 dollars, lane 1 owes one.
    let billing = Billing::of(&app, "usr_1").await;
    assert_eq!(balances(&billing).await.0, i128::from(20_000_000 - 600 * CENT));
    assert_eq!(buy(&billing, "14.50", None).await.status, 422);
    assert_eq!(buy(&billing, "14.00", None).await.status, 201);
    assert_eq!(balances(&billing).await, (0, 14_000_000));
    app.verify().await;
}

#[tokio::test]
async fn a_purchase_that_is_sent_again_is_one_also_where_its_answer_was_lost() {
    let app = TestApp::new().await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 20_000_000, "pi_1").await;
    let billing = Billing::of(&app, "usr_1").await;
    let first = buy(&billing, "15", Some("key")).await;
    let again = buy(&billing, "15", Some("key")).await;
    assert_eq!((again.status, &again.json), (201, &first.json));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = buy(&billing, "4", Some("key")).await;
    assert_eq!((other.status, other.json["code"].as_str()), (409, Some("key_reused")));
    // The kept answers are gone, as if the function had died before it kept one: the ledger knows the key.
    app.time.set(app.time.now().plus_secs(3 * 86_400));
    let billing = Billing::of(&app, "usr_1").await;
    let replayed = buy(&billing, "15", Some("key")).await;
    assert_eq!(
        (replayed.status, &replayed.json),
        (201, &first.json),
        "there are five dollars left, and nothing is bought"
    );
    let other = buy(&billing, "4", Some("key")).await;
    assert_eq!((other.status, other.json["code"].as_str()), (409, Some("key_reused")));
    assert_eq!(balances(&billing).await, (5_000_000, 15_000_000));
    app.verify().await;
}

#[tokio::test]
async fn of_many_purchases_at_once_as_many_win_as_there_is_money_for() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 10_000_000, "pi_1").await;
    let billing = Billing::of(&app, "usr_1").await;
    // Each key comes twice.
    let keys: Vec<String> = (0..24).map(|n| format!("key-{}", n % 12)).collect();
    let answers = join_all(keys.iter().map(|key| buy(&billing, "3", Some(key)))).await;
    let won: BTreeSet<&str> =
        answers.iter().filter(|a| a.status == 201).map(|a| a.json["paid"]["id"].as_str().unwrap()).collect();
    assert_eq!(won.len(), 3);
    for answer in &answers {
        assert!([201, 409, 422].contains(&answer.status), "{}", answer.json);
    }
    assert_eq!(balances(&billing).await, (1_000_000, 9_000_000));
    let wallet = WalletId { customer: id("usr_1"), unit: Unit::Token, lane: 0 };
    assert_eq!(app.system.store.wallet_head(&wallet, true).await.unwrap().unwrap().seq, 3);
    app.hours(1).await;
    app.verify().await;
}

#[tokio::test]
async fn a_payment_is_credited_by_what_the_processor_says_once() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let billing = Billing { router: shop.router.clone(), ..Billing::of(&app, "usr_1").await };
    let intent = shop.post("/payments/intent", Some(&billing.token), json!({ "amount": "25.00" })).await.json;
    let payment = intent["id"].as_str().unwrap();
    let add = async |billing: &Billing, name: &str| {
        billing.ask("POST", "/custom-credits/add", Some(json!({ "payment_id": name }))).await
    };
    // Saying so is not paying.
    let early = add(&billing, payment).await;
    assert_eq!((early.status, &early.json["credited"]["amount"]), (200, &json!("0.00")), "{}", early.json);
    assert_eq!(balances(&billing).await.0, 0);
    let confirm = format!("/payments/{payment}/confirm");
    let paid = shop.post(&confirm, Some(&billing.token), json!({ "payment_method": "pm_card_visa" })).await;
    assert_eq!(paid.json["status"], "succeeded");
    let object = paid.json["processor_object"].as_str().unwrap();
    for name in [payment, object, payment] {
        let answer = add(&billing, name).await;
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!("succeeded")), "{}", answer.json);
        assert_eq!(answer.json["payment_id"].as_str(), Some(payment));
        assert_eq!(answer.json["credited"], json!({ "amount": "25.00", "unit": "usd" }));
        assert_eq!(answer.json["balance"]["amount"], "25.00");
    }
    // Another customer's payment is not there, nor is one that nobody made; and nobody names a sum.
    let other = Billing { router: shop.router.clone(), ..Billing::of(&app, "usr_2").await };
    for name in [payment, object, "pay_none"] {
        assert_eq!(add(&other, name).await.status, 404, "{name}");
    }
    for (body, pointer) in [
        (json!({}), "/payment_id"),
        (json!({ "payment_id": "../x" }), "/payment_id"),
        (json!({ "payment_id": "" }), "/payment_id"),
        (json!({ "payment_id": payment, "amount": "1" }), "/amount"),
    ] {
        let answer = other.ask("POST", "/custom-credits/add", Some(body.clone())).await;
        assert_eq!((answer.status, &answer.json["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert_eq!((balances(&billing).await.0, balances(&other).await.0), (25_000_000, 0));
    let kinds: Vec<Kind> = app.pages("usr_1").await.iter().map(|page| page.kind).collect();
    assert_eq!(kinds, [Kind::Payment]);
    shop.shop.pump_mails().await.unwrap();
    app.verify().await;
}
