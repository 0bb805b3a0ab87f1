//! Plans, thresholds, automatic top-up, and who is watched for them.

use super::billing::{Billing, posts, state};
use domain::plan::{Metering, PlanVersion};
use domain::wallet::Kind;
use domain::{Amount, Id, Unit};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::Fact;
use tests::{TestApp, TestShop, ask, id, plan, registered};

/// Who is watched, and what was seen of them.
async fn watched(app: &TestApp) -> Vec<(Id, Unit, Option<Amount>)> {
    let watched = app.system.store.watch_list(None).await.unwrap().0;
    watched.into_iter().map(|watched| (watched.customer, watched.unit, watched.seen)).collect()
}

#[tokio::test]
async fn anybody_may_read_the_plans_with_the_price_in_force_and_the_next() {
    let app = TestApp::new().await;
    let mut small = plan("small", "5.00", Metering::Hourly);
    let mut terms = small.versions[0].terms.clone();
    (terms.version, terms.price) = (id("small-v2"), domain::plan::Price::parse("6.1").unwrap());
    terms.billable_states = Some(BTreeSet::from([domain::timeline::State::running()]));
    small.versions.push(PlanVersion { from: app.hour().plus(3), terms });
    app.system.store.plan_put(&small).await.unwrap();
    app.system.store.plan_put(&plan("fast", "0.333333", Metering::PerSecond)).await.unwrap();
    let router = billing::router(state(&app));
    let read = async |query: &str| ask(&router, "GET", &format!("/api/billing/plans{query}"), None, None).await.json;
    let plans = read("").await;
    let names: Vec<_> = plans["data"].as_array().unwrap().iter().map(|plan| plan["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["cent", "fast", "small"]);
    let small = &plans["data"][2];
    assert_eq!((&small["hours_per_month"], &small["current"]["price_usd"]), (&json!(730), &json!("5.00")));
    assert_eq!((&small["current"]["price_token"], &small["next"]["price_token"]), (&json!("500.00"), &json!("610.00")));
    assert_eq!(small["next"]["from"], "2026-11-10T03:00:00Z");
    assert_eq!(
        (&small["current"]["billable_states"], &small["next"]["billable_states"]),
        (&Value::Null, &json!(["running"]))
    );
    assert_eq!(
        (&plans["data"][1]["current"]["metering"], &plans["data"][1]["current"]["price_token"]),
        (&json!("per-second"), &json!("33.3333"))
    );
    app.pass(3);
    assert_eq!(read("").await["data"][2]["current"]["id"], "small-v2");
    let first = read("?limit=2").await;
    let rest = read(&format!("?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&rest["data"][0]["id"], &rest["next_cursor"]), (&json!("small"), &Value::Null));
}

#[tokio::test]
async fn thresholds_are_ten_five_and_nothing_until_somebody_says_otherwise() {
    let app = TestApp::new().await;
    let billing = Billing::of(&app, "usr_1").await;
    let default = json!({ "thresholds": ["10.00", "5.00", "0.00"], "unit": "usd", "email": true });
    assert_eq!(billing.get("/alerts").await, default);
    let set = |thresholds: Value, email: bool| {
        billing.ask("PUT", "/alerts", Some(json!({ "thresholds": thresholds, "email": email })))
    };
    let answer = set(json!(["1", "50.5", 7, "7.000000"]), false).await;
    let own = json!({ "thresholds": ["50.50", "7.00", "1.00"], "unit": "usd", "email": false });
    assert_eq!((answer.status, &answer.json), (200, &own));
    assert_eq!(billing.get("/alerts").await, own);
    assert_eq!(Billing::of(&app, "usr_2").await.get("/alerts").await, default);
    assert_eq!(watched(&app).await, [(id("usr_1"), Unit::Token, None), (id("usr_1"), Unit::Usd, None)]);
    assert_eq!(set(json!([]), true).await.json["thresholds"], json!([]));
    for (thresholds, pointer) in [
        (json!(["1", "-1"]), "/thresholds/1"),
        (json!(["100000.000001"]), "/thresholds/0"),
        (json!(["0.0000001"]), "/thresholds/0"),
        (json!(["1e1"]), "/thresholds/0"),
        (json!([1e300]), "/thresholds/0"),
        (json!([null]), "/thresholds/0"),
        (json!(vec!["1"; 11]), "/thresholds"),
        (json!("5"), "/thresholds"),
    ] {
        let answer = set(thresholds.clone(), true).await;
        assert_eq!(
            (answer.status, answer.json["errors"][0]["pointer"].as_str()),
            (422, Some(pointer)),
            "{thresholds}: {}",
            answer.json
        );
    }
    for body in
        [json!({ "thresholds": [] }), json!({ "email": true }), json!({ "thresholds": [], "email": true, "x": 1 })]
    {
        assert_eq!(billing.ask("PUT", "/alerts", Some(body)).await.status, 422);
    }
    // Back to what everybody has: nothing is watched any more.
    assert_eq!(set(json!(["0", "5", "10"]), true).await.json, default);
    assert_eq!(watched(&app).await, []);
}

/// Pays by card, and has it kept.
async fn saved_method(shop: &TestShop, token: &str) -> String {
    let body = json!({ "amount": "20.00", "save_method": true });
    let intent = shop.post("/payments/intent", Some(token), body).await.json;
    let path = format!("/payments/{}/confirm", intent["id"].as_str().unwrap());
    let paid = shop.post(&path, Some(token), json!({ "payment_method": "pm_card_visa" })).await;
    assert_eq!((paid.status, &paid.json["status"]), (200, &json!("succeeded")), "{}", paid.json);
    let methods = shop.get("/payments/methods", token).await.json;
    methods["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{methods}")).to_owned()
}

#[tokio::test]
async fn automatic_top_up_is_off_until_it_has_a_method_and_stays_in_its_bounds() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let billing = Billing { router: shop.router.clone(), ..Billing::of(&app, "usr_1").await };
    let method = saved_method(&shop, &billing.token).await;
    let theirs = saved_method(&shop, &Billing::of(&app, "usr_2").await.token).await;
    let off = billing.get("/auto-top-up").await;
    assert_eq!((&off["enabled"], &off["payment_method"]), (&json!(false), &Value::Null));
    let good = json!({ "enabled": true, "threshold": "7.5", "amount": "25", "payment_method": method, "daily_limit": "50.00" });
    let set = |changes: Value| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        async { billing.ask("PUT", "/auto-top-up", Some(body)).await }
    };
    for (changes, pointer) in [
        (json!({ "payment_method": null }), "/payment_method"),
        (json!({ "payment_method": "" }), "/payment_method"),
        (json!({ "payment_method": "x".repeat(101) }), "/payment_method"),
        (json!({ "payment_method": "pm_1/../cus_1" }), "/payment_method"),
        (json!({ "payment_method": "pm_nobodys" }), "/payment_method"),
        (json!({ "payment_method": theirs }), "/payment_method"),
        (json!({ "amount": "0.99" }), "/amount"),
        (json!({ "amount": "1000.01", "daily_limit": "2000" }), "/amount"),
        (json!({ "amount": "25.0000001" }), "/amount"),
        (json!({ "daily_limit": "24.99" }), "/daily_limit"),
        (json!({ "daily_limit": "10000.01" }), "/daily_limit"),
        (json!({ "threshold": "-1" }), "/threshold"),
        (json!({ "threshold": "NaN" }), "/threshold"),
        (json!({ "enabled": "yes" }), "/enabled"),
        (json!({ "unit": "usd" }), "/unit"),
    ] {
        let answer = set(changes.clone()).await;
        assert_eq!(
            (answer.status, answer.json["errors"][0]["pointer"].as_str()),
            (422, Some(pointer)),
            "{changes}: {}",
            answer.json
        );
    }
    assert_eq!(billing.get("/auto-top-up").await, off, "nothing was changed");
    let on = json!({ "enabled": true, "threshold": "7.50", "amount": "25.00", "payment_method": method, "daily_limit": "50.00", "unit": "usd" });
    assert_eq!(set(json!({})).await.json, on);
    assert_eq!(billing.get("/auto-top-up").await, on);
    assert_eq!(watched(&app).await.len(), 1);
    assert_eq!(set(json!({ "enabled": false, "payment_method": null })).await.status, 200);
    assert_eq!(watched(&app).await, []);
}

#[tokio::test]
async fn a_customer_with_several_lanes_is_watched() {
    let app = TestApp::new().await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 12_000_000, "pi_1").await;
    let facts: Vec<Fact> = (0..501).map(|n| registered(&format!("srv-{n}"), "usr_1", app.at(1))).collect();
    app.tell(&facts).await;
    app.tell(&[registered("srv-single", "usr_2", app.at(1))]).await;
    app.hours(2).await;
    assert_eq!(watched(&app).await, [(id("usr_1"), Unit::Usd, None)]);
    let store = &app.system.store;
    let balance = store.wallet_balance(&id("usr_1"), Unit::Usd).await.unwrap();
    assert_eq!((balance.amount.steps(), balance.heads.len()), (1_980_000, 2));
    assert!(store.watch_get(&id("usr_1"), Unit::Usd).await.unwrap().is_some());
    assert!(store.watch_get(&id("usr_2"), Unit::Usd).await.unwrap().is_none());
    // Lanes alone tell something else: lane 1 began below nothing, once.
    let events = store.low_balance_list(tests::time(tests::BEGIN), None).await.unwrap().0;
    let seen: Vec<_> = events.iter().map(|e| (e.wallet.to_string(), e.threshold.steps(), e.balance.steps())).collect();
    for event in [("usr_1#usd#1", 0, -10_000), ("usr_2#usd#0", 0, -10_000), ("usr_1#usd#0", 10_000_000, 7_000_000)] {
        assert_eq!(seen.iter().filter(|seen| (seen.0.as_str(), seen.1, seen.2) == event).count(), 1, "{seen:?}");
    }
    assert!(store.low_balance_list(app.time.now().plus_secs(1), None).await.unwrap().0.is_empty());
}
