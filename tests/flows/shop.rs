//! The whole way of a customer, through HTTP only: register, prove the address, sign in, pay by card and by PayPal, have servers
//! billed, and ask why.

use domain::plan::Metering;
use sandbox::Card;
use serde_json::{Value, json};
use tests::{PASSWORD, TestApp, TestShop, id, plan, registered};

const EMAIL: &str = "ada@example.com";
/// Hours that are billed.
const HOURS: u32 = 50;
/// Hours a month of price is spread over.
const PER: i128 = 730;

/// RATING.md, worked out once more: a price in micro-dollars over `n` hours, rounded half to even.
fn cost(price: i128, n: i128) -> i128 {
    let (whole, rest) = (price * n / PER, price * n % PER);
    match (2 * rest).cmp(&PER) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

/// Micro-dollars out of decimal text, without the product's parser.
fn micros(text: &Value) -> i128 {
    let text = text.as_str().unwrap_or_else(|| panic!("no amount: {text}"));
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').expect("an amount has a point");
    assert!((2..=6).contains(&fraction.len()), "{text}");
    sign * format!("{whole}{fraction:0<6}").parse::<i128>().expect("digits")
}

async fn sign_up(shop: &TestShop) -> String {
    let body = json!({ "email": EMAIL, "password": PASSWORD, "name": "Ada Lovelace" });
    assert_eq!(shop.post("/auth/register", None, body).await.status, 202);
    let token = shop.mailed_token(EMAIL).await;
    let early = json!({ "email": EMAIL, "password": PASSWORD });
    assert_eq!(shop.post("/auth/login", None, early).await.json["code"], "invalid_credentials");
    let proof = json!({ "token": token, "password": PASSWORD });
    assert_eq!(shop.post("/auth/verify-email", None, proof).await.status, 204);
    sign_in(shop).await
}

async fn sign_in(shop: &TestShop) -> String {
    let answer = shop.post("/auth/login", None, json!({ "email": EMAIL, "password": PASSWORD })).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json["access_token"].as_str().unwrap().to_owned()
}

async fn pay_by_card(shop: &TestShop, token: &str, amount: &str) -> String {
    let intent = shop.post("/payments/intent", Some(token), json!({ "amount": amount, "currency": "USD" })).await;
    assert_eq!(intent.status, 201, "{}", intent.json);
    assert!(intent.json["client_secret"].is_string());
    // What the browser does with Stripe.js.
    shop.sandbox.pay_intent(intent.json["processor_object"].as_str().unwrap(), Card::Visa).unwrap();
    shop.sandbox.deliver_all().await;
    let payment = intent.json["id"].as_str().unwrap().to_owned();
    let shown = shop.get(&format!("/payments/{payment}"), token).await;
    assert_eq!((shown.json["status"].as_str(), &shown.json["captured_amount"]), (Some("succeeded"), &json!(amount)));
    payment
}

async fn pay_by_paypal(shop: &TestShop, token: &str, amount: &str) {
    let order = shop.post("/payments/paypal/orders", Some(token), json!({ "amount": amount })).await;
    assert_eq!(order.status, 201, "{}", order.json);
    assert!(order.json["approve_url"].as_str().unwrap().starts_with(shop.sandbox.url()));
    shop.sandbox.approve_order(order.json["processor_object"].as_str().unwrap()).unwrap();
    let path = format!("/payments/paypal/orders/{}/capture", order.json["id"].as_str().unwrap());
    let captured = shop.post(&path, Some(token), json!({})).await;
    assert_eq!((captured.status, &captured.json["status"]), (200, &json!("succeeded")), "{}", captured.json);
    // The webhook comes after the customer, and changes nothing.
    shop.sandbox.deliver_all().await;
}

#[tokio::test]
async fn a_customer_registers_pays_is_billed_and_asks_why() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    for (name, price) in [("five", "5.00"), ("odd", "3.33")] {
        app.system.store.plan_put(&plan(name, price, Metering::Hourly)).await.unwrap();
    }
    let token = sign_up(&shop).await;
    pay_by_card(&shop, &token, "20.00").await;
    pay_by_paypal(&shop, &token, "5.00").await;
    let balance = shop.get("/billing/balance", &token).await.json;
    assert_eq!(micros(&balance["custom_credits"]["amount"]), 25_000_000, "{balance}");

    // When three servers have run for 50 hours.
    let me = shop.get("/auth/me", &token).await.json["id"].as_str().unwrap().to_owned();
    let servers = [("srv_cent", "cent", 7_300_000), ("srv_five", "five", 5_000_000), ("srv_odd", "odd", 3_330_000)];
    let facts: Vec<_> = servers
        .iter()
        .map(|(server, name, _)| {
            let mut fact = registered(server, &me, app.at(1));
            if let store::Fact::Registered { plan, .. } = &mut fact {
                *plan = id(name);
            }
            fact
        })
        .collect();
    app.tell(&facts).await;
    let mut seen = 25_000_000;
    for n in 1..=i128::from(HOURS) {
        app.hours(1).await;
        // It falls hour by hour. The first token has run out long ago.
        let token = sign_in(&shop).await;
        let now = micros(&shop.get("/billing/balance", &token).await.json["custom_credits"]["amount"]);
        let due: i128 = servers.iter().map(|(_, _, price)| cost(*price, n) - cost(*price, n - 1)).sum();
        assert_eq!(seen - now, due, "hour {n}");
        seen = now;
    }

    // Then every figure says the same, to the last digit.
    let token = sign_in(&shop).await;
    let total: i128 = servers.iter().map(|(_, _, price)| cost(*price, HOURS.into())).sum();
    assert_eq!(seen, 25_000_000 - total);
    let mut explained = 0;
    for (server, _, price) in servers {
        let answer = shop.get(&format!("/billing/servers/{server}/explain?month=2026-11"), &token).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        let lines = answer.json["lines"].as_array().unwrap();
        let sum: i128 = lines.iter().map(|line| micros(&line["amount"])).sum();
        let by_hour: i128 =
            lines.iter().flat_map(|line| line["by_hour"].as_array().unwrap()).map(|hour| micros(&hour["amount"])).sum();
        assert_eq!((sum, by_hour), (cost(price, HOURS.into()), sum), "{server}");
        assert_eq!(lines.iter().map(|line| line["hours"].as_u64().unwrap()).sum::<u64>(), u64::from(HOURS));
        assert_eq!(lines.last().unwrap()["n_after"].as_u64(), Some(u64::from(HOURS)));
        explained += sum;
    }
    assert_eq!(explained, total);
    let statement = shop.get("/billing/statements/2026-11", &token).await;
    assert_eq!(statement.status, 200, "{}", statement.json);
    let wallet = &statement.json["wallets"][0];
    assert_eq!((wallet["unit"].as_str(), micros(&wallet["opening"])), (Some("usd"), 0));
    assert_eq!(micros(&wallet["closing"]), seen);
    let kinds = wallet["kinds"].as_array().unwrap();
    let of = |kind: &str| kinds.iter().find(|sum| sum["type"] == kind).map(|sum| micros(&sum["amount"]));
    assert_eq!((of("payment"), of("usage"), kinds.len()), (Some(25_000_000), Some(-total), 2), "{wallet}");
    for (server, _, price) in servers {
        let listed = wallet["servers"].as_array().unwrap().iter().find(|row| row["server"] == server).unwrap();
        assert_eq!(micros(&listed["cost"]), cost(price, HOURS.into()));
    }
    // And so does the proof of the whole ledger, which knows nothing of any of this.
    let proof = app.verify().await;
    assert_eq!((proof.server_hours, proof.pages), (3 * u64::from(HOURS), 2 + u64::from(HOURS)));
    assert_eq!(i128::from(app.balance(&me).await), seen);
}
