//! What a request costs: read and write units, calls, time in process; what the kit takes of it; what signing in takes.
//! `cargo bench -p tests --bench requests`. Prints only.
#![expect(clippy::float_arithmetic, reason = "only printed")]
#![allow(missing_docs)]
#![recursion_limit = "256"]

use auth::Passwords;
use sandbox::Card;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::{Area, Units};
use tests::{Account, PASSWORD, TestApp, TestShop, ask, login, registered};

/// Times a request that changes nothing is repeated.
const REPEATS: usize = 200;
/// Servers of the customer.
const SERVERS: usize = 10;
/// Hours that are billed.
const HOURS: u32 = 24;

#[tokio::main]
async fn main() {
    let app = TestApp::new().await;
    let mut shop = app.shop().await;
    // The floor under answers would hide what they cost.
    shop.shop.auth.floor = Duration::ZERO;
    shop.router = skymeter::gateway::router(&shop.shop);
    let email = "ada@example.com";
    app.register_and_verify(&shop.router, email).await;
    auth::operator::make_admin(&app.system.store, email).await.expect("an admin is made");
    let me = Account::of(&login(&shop.router, email, PASSWORD).await).user;
    let servers: Vec<_> = (0..SERVERS).map(|n| registered(&format!("srv_{n}"), me.as_str(), app.at(1))).collect();
    app.tell(&servers).await;
    app.hours(HOURS).await;
    let token = Account::of(&login(&shop.router, email, PASSWORD).await).access_token;
    println!("{:<44} {:>6} {:>6} {:>6} {:>6} {:>9}", "", "reads", "RU", "writes", "WU", "p50 ms");
    reading(&app, &shop, &token).await;
    writing(&app, &shop, &token, email).await;
    kit(&app, &shop, &token).await;
    signing_in(&shop, email).await;
}

fn spent(app: &TestApp) -> Units {
    Area::ALL.into_iter().fold(Units::default(), |sum, area| {
        let units = app.system.store.capacity().units(area);
        Units {
            read_tenths: sum.read_tenths + units.read_tenths,
            write_tenths: sum.write_tenths + units.write_tenths,
            writes: sum.writes + units.writes,
            reads: sum.reads + units.reads,
        }
    })
}

/// One request, and what it took.
async fn one(app: &TestApp, shop: &TestShop, (method, path): (&str, &str), token: &str, body: Option<Value>) -> Value {
    let (before, began) = (spent(app), Instant::now());
    let answer = ask(&shop.router, method, &format!("/api/v1{path}"), Some(token), body).await;
    let (took, after) = (began.elapsed(), spent(app));
    assert!(answer.status < 300, "{method} {path}: {}", answer.json);
    line(&format!("{method} {path}"), before, after, took);
    answer.json
}

fn line(name: &str, before: Units, after: Units, took: Duration) {
    let tenths = |units: u64| format!("{}.{}", units / 10, units % 10);
    println!(
        "{:<44} {:>6} {:>6} {:>6} {:>6} {:>9.2}",
        name.chars().take(44).collect::<String>(),
        after.reads - before.reads,
        tenths(after.read_tenths - before.read_tenths),
        after.writes - before.writes,
        tenths(after.write_tenths - before.write_tenths),
        took.as_secs_f64() * 1_000.0,
    );
}

/// Requests that change nothing, repeated.
async fn reading(app: &TestApp, shop: &TestShop, token: &str) {
    for path in [
        "/billing/balance",
        "/billing/transactions",
        "/billing/transactions/txn_usd_0_24",
        "/billing/usage/current",
        "/billing/usage",
        "/billing/servers/srv_1/explain",
        "/billing/statements/2026-11",
        "/billing/proof",
        "/billing/plans",
        "/billing/alerts",
        "/billing/auto-top-up",
        "/payments",
        "/payments/stats/summary",
        "/auth/me",
        "/auth/sessions",
        "/auth/api-keys",
        "/admin/users",
        "/admin/settings",
        "/admin/cron/status",
        "/admin/runs",
        "/admin/audit",
        "/health/billing-daemon",
    ] {
        let before = spent(app);
        let mut times = Vec::with_capacity(REPEATS);
        let mut after = before;
        for n in 0..REPEATS {
            let began = Instant::now();
            let answer = ask(&shop.router, "GET", &format!("/api/v1{path}"), Some(token), None).await;
            times.push(began.elapsed());
            assert_eq!(answer.status, 200, "{path}: {}", answer.json);
            if n == 0 {
                after = spent(app);
            }
        }
        times.sort_unstable();
        line(&format!("GET {path}"), before, after, times[REPEATS / 2]);
    }
}

/// Requests that change something, once.
async fn writing(app: &TestApp, shop: &TestShop, token: &str, email: &str) {
    let amount = json!({ "amount": "20.00" });
    let intent = one(app, shop, ("POST", "/payments/intent"), token, Some(amount.clone())).await;
    shop.sandbox.pay_intent(intent["processor_object"].as_str().unwrap_or_default(), Card::Visa).expect("it is paid");
    let path = format!("/payments/{}/confirm", intent["id"].as_str().unwrap_or_default());
    one(app, shop, ("POST", &path), token, Some(json!({}))).await;
    let (before, began) = (spent(app), Instant::now());
    let tally = shop.sandbox.deliver_all().await;
    line(&format!("webhooks, late and in vain: {tally:?}"), before, spent(app), began.elapsed());
    let user = one(app, shop, ("GET", "/auth/me"), token, None).await["id"].as_str().unwrap_or_default().to_owned();
    let credit = json!({ "amount": "1.00", "reason": "measured" });
    one(app, shop, ("POST", &format!("/admin/users/{user}/custom-credits")), token, Some(credit)).await;
    let setting = json!({ "value": "5 * * * *" });
    one(app, shop, ("PUT", "/admin/settings/server_hourly_billing_cron_schedule"), token, Some(setting)).await;
    one(app, shop, ("POST", "/admin/cron/trigger-hourly-billing"), token, Some(json!({}))).await;
    app.system.pump(&|_| {}).await.expect("the run is done");
    let body = json!({ "email": "bob@example.com", "password": PASSWORD });
    one(app, shop, ("POST", "/auth/register"), token, Some(body)).await;
    one(app, shop, ("POST", "/auth/forgot-password"), token, Some(json!({ "email": email }))).await;
    let signed_in =
        one(app, shop, ("POST", "/auth/login"), token, Some(json!({ "email": email, "password": PASSWORD }))).await;
    let refresh = json!({ "refresh_token": signed_in["refresh_token"] });
    one(app, shop, ("POST", "/auth/refresh"), token, Some(refresh)).await;
}

/// Routing, headers and the answer's form, and the signature of the token: what the kit takes without the tables.
async fn kit(app: &TestApp, shop: &TestShop, token: &str) {
    let each = |began: Instant, times: u32| began.elapsed().as_secs_f64() * 1e6 / f64::from(times);
    let times = 5_000;
    let began = Instant::now();
    for _ in 0..times {
        assert_eq!(ask(&shop.router, "GET", "/api/v1/health", None, None).await.status, 200);
    }
    let routed = each(began, times);
    let keys = app.kit("billing").keys;
    keys.verify(token).await.expect("the token holds");
    let began = Instant::now();
    for _ in 0..times {
        keys.verify(token).await.expect("the token holds");
    }
    let verified = each(began, times);
    println!("\nkit: a request without a table {routed:.0} us, a token's signature {verified:.0} us");
}

/// Signing in, beside the one thing in it that is meant to be slow.
async fn signing_in(shop: &TestShop, email: &str) {
    let passwords = Passwords::new();
    let hash = passwords.hash(PASSWORD.to_owned()).await.expect("it is hashed");
    let (mut argon, mut all) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let began = Instant::now();
        passwords.check(PASSWORD.to_owned(), Some(hash.clone())).await.expect("it is checked");
        argon.push(began.elapsed());
        let began = Instant::now();
        let _ = login(&shop.router, email, PASSWORD).await;
        all.push(began.elapsed());
    }
    argon.sort_unstable();
    all.sort_unstable();
    let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1_000.0;
    println!("signing in: {:.1} ms, of which Argon2id {:.1} ms", ms(&all), ms(&argon));
}
