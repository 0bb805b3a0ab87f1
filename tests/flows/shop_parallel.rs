//! One wallet, written by everybody at the same time: customers' payments, refunds, admins' changes, and the biller.

use domain::account::Role;
use futures::future::{BoxFuture, FutureExt, join_all};
use sandbox::Card;
use serde_json::json;
use tests::{CENT, TestApp, TestShop, registered};

const CUSTOMER: &str = "usr_one";
/// Of each kind, at the same time.
const EACH: usize = 16;
/// Servers that are billed meanwhile, a cent an hour each.
const SERVERS: i64 = 20;

/// A payment of 10.00 that the customer has made and nobody here knows of.
async fn paid(shop: &TestShop, token: &str) -> String {
    let intent = shop.post("/payments/intent", Some(token), json!({ "amount": "10.00" })).await;
    assert_eq!(intent.status, 201, "{}", intent.json);
    shop.sandbox.pay_intent(intent.json["processor_object"].as_str().unwrap(), Card::Visa).unwrap();
    intent.json["id"].as_str().unwrap().to_owned()
}

async fn done(shop: &TestShop, path: String, token: &str, body: serde_json::Value) {
    let answer = shop.post(&path, Some(token), body).await;
    assert!((200..300).contains(&answer.status), "{path}: {}", answer.json);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_writers_of_one_wallet_lose_nothing_and_double_nothing() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let user = app.sign_in(CUSTOMER, Role::User).await;
    let servers: Vec<_> = (0..SERVERS).map(|n| registered(&format!("srv_{n}"), CUSTOMER, app.at(1))).collect();
    app.tell(&servers).await;
    let (mut bought, mut refunded) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        bought.push(paid(&shop, &user).await);
        let payment = paid(&shop, &user).await;
        done(&shop, format!("/payments/{payment}/confirm"), &user, json!({})).await;
        refunded.push(payment);
        // The limit on payments counts by the minute.
        app.pass_secs(30);
    }
    app.pass(1);
    let (user, admin) = (app.sign_in(CUSTOMER, Role::User).await, app.sign_in("usr_admin", Role::Admin).await);
    let (shop, user, admin) = (&shop, user.as_str(), admin.as_str());
    let mut work: Vec<BoxFuture<'_, ()>> = Vec::new();
    for (bought, refunded) in bought.into_iter().zip(refunded) {
        work.push(done(shop, format!("/payments/{bought}/confirm"), user, json!({})).boxed());
        let refund = json!({ "amount": "2.50", "reason": "a part of it" });
        work.push(done(shop, format!("/payments/{refunded}/refund"), admin, refund).boxed());
        let credit = json!({ "amount": "0.000001", "reason": "the smallest step" });
        work.push(done(shop, format!("/admin/users/{CUSTOMER}/custom-credits"), admin, credit).boxed());
        work.push(async { app.system.pump_jobs(&|_| {}).await.unwrap() }.boxed());
    }
    assert_eq!(work.len(), 64);
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.system.pump_shards().await.unwrap();
    join_all(work).await;
    // And all of it told once more.
    shop.sandbox.deliver_concurrently(16).await;
    app.bill().await;
    let proof = app.verify().await;
    let each = i64::try_from(EACH).unwrap();
    let money = each * (10_000_000 + 10_000_000 - 2_500_000 + 1);
    assert_eq!(app.balance(CUSTOMER).await, money - SERVERS * CENT * i64::try_from(hours(&app)).unwrap());
    assert_eq!(proof.server_hours, u64::try_from(SERVERS).unwrap() * hours(&app));
}

/// Hours since the servers began.
fn hours(app: &TestApp) -> u64 {
    u64::from(app.hour().since(tests::time(tests::BEGIN).hour()))
}
