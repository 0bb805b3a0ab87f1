//! The pages a customer clicks through, and the actions of everybody else over HTTP.

use crate::support::Shop;
use serde_json::{Value, json};

async fn page(shop: &Shop, path: &str) -> String {
    let answer = shop.http.get(shop.url(path)).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    answer.text().await.unwrap()
}

async fn post(shop: &Shop, path: &str, field: (&str, &str)) -> (u16, String) {
    let answer = shop.http.post(shop.url(path)).form(&[field]).send().await.unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location.unwrap_or_default())
}

#[tokio::test]
async fn a_card_payment_is_clicked_through() {
    let shop = Shop::open().await;
    let form = [("amount", "2000"), ("currency", "usd"), ("return_url", "http://shop.example/done?pay=1")];
    let id = shop.stripe("/v1/payment_intents", &form).await.text("/id").to_owned();
    let path = format!("/pay/{id}");
    assert!(page(&shop, "/").await.contains(&path));
    assert!(page(&shop, &path).await.contains("Pay 20.00 USD"));
    assert_eq!(post(&shop, &path, ("card", "declined")).await, (303, path.clone()));
    assert!(page(&shop, &path).await.contains("Your card was declined."));
    assert_eq!(post(&shop, &path, ("card", "authentication_required")).await, (303, path.clone()));
    assert!(page(&shop, &path).await.contains("is it you?"));
    let (status, location) = post(&shop, &path, ("passes", "yes")).await;
    assert_eq!(status, 303);
    assert!(location.starts_with(&format!("http://shop.example/done?pay=1&payment_intent={id}&")), "{location}");
    assert_eq!(shop.stripe_get(&format!("/v1/payment_intents/{id}")).await.text("/status"), "succeeded");
    assert_eq!(post(&shop, &path, ("card", "visa")).await.0, 422);
    assert_eq!(post(&shop, &path, ("card", "gold")).await.0, 400);
}

#[tokio::test]
async fn an_order_is_clicked_through() {
    let shop = Shop::open().await;
    let id = shop.order().await;
    let path = format!("/checkoutnow?token={id}");
    assert!(page(&shop, &path).await.contains("Pay 5.00 USD"));
    assert_eq!(post(&shop, &path, ("cancel", "yes")).await, (303, format!("http://shop.example/no?token={id}")));
    let (status, location) = post(&shop, &path, ("wallet", "pays")).await;
    assert_eq!(
        (status, location.as_str()),
        (303, format!("http://shop.example/back?x=1&token={id}&PayerID=SANDBOXPAYER1").as_str())
    );
    assert_eq!(shop.paypal_get(&format!("/v2/checkout/orders/{id}")).await.text("/status"), "APPROVED");
}

#[tokio::test]
async fn pages_show_nothing_as_markup_and_lead_only_where_browsers_go() {
    let shop = Shop::open().await;
    let form = [("amount", "2000"), ("currency", "usd"), ("return_url", "javascript:alert(1)")];
    let id = shop.stripe("/v1/payment_intents", &form).await.text("/id").to_owned();
    let path = format!("/pay/{id}");
    assert_eq!(post(&shop, &path, ("card", "visa")).await, (303, path));
    assert_eq!(shop.http.get(shop.url("/pay/%3Cscript%3E")).send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn actions_are_taken_over_http() {
    let shop = Shop::open().await;
    let act = |body: Value| shop.send(shop.http.post(shop.url("/sandbox/actions")).json(&body));
    let id = shop.intent().await;
    assert_eq!(act(json!({ "do": "dispute", "id": id })).await.status, 422, "nothing was paid");
    assert_eq!(act(json!({ "do": "pay", "id": id, "card": "visa" })).await.status, 200);
    let refund = act(json!({ "do": "refund", "id": id, "amount": 500 })).await;
    assert!(refund.text("/id").starts_with("re_"));
    let dispute = act(json!({ "do": "dispute", "id": id })).await.text("/id").to_owned();
    assert_eq!(act(json!({ "do": "close_dispute", "id": dispute, "outcome": "lost" })).await.status, 200);
    let order = shop.order().await;
    assert_eq!(act(json!({ "do": "approve", "id": order })).await.status, 200);
    assert_eq!(act(json!({ "do": "approve", "id": "NONE" })).await.status, 422);

    let truth = shop.send(shop.http.get(shop.url("/sandbox/payments"))).await;
    assert_eq!(
        (truth.number("/payments/0/captured"), truth.number("/payments/0/refunded"), truth.number("/payments/0/lost")),
        (2_000, 500, 1_500)
    );
    let tally = shop.send(shop.http.post(shop.url("/sandbox/deliveries"))).await;
    assert_eq!(tally.number("/accepted"), 6);
    let sent = shop.send(shop.http.get(shop.url("/sandbox/deliveries"))).await;
    assert_eq!((sent.body.as_array().unwrap().len(), sent.text("/0/event_type")), (6, "payment_intent.succeeded"));
}
