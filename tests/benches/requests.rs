//! What a request costs: read and write units, calls, time in process; what the kit takes of it; what signing in takes.
//! `cargo bench -p tests --bench requests`. Prints only.
#![expect(clippy::float_arithmetic, reason = "only printed")]
#![allow(missing_docs)]
#![recursion_limit = "256"]

use auth::Passwords;
use domain::Id;
use domain::mail::Template;
use sandbox::{Card, Chance};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use store::{Area, Units};
use tests::{Account, Answer, PASSWORD, TestApp, TestShop, ask, login, registered};
use totp_rs::{Builder, Secret as TotpSecret};

/// Times a request that changes nothing is repeated.
const REPEATS: usize = 200;
/// Servers of the customer.
const SERVERS: usize = 10;
/// Hours that are billed.
const HOURS: u32 = 24;
const ADMIN: &str = "ada@example.com";
const OTHER: &str = "bob@example.com";

/// Whoever asks, and what was measured.
struct Desk {
    app: TestApp,
    shop: TestShop,
    token: String,
    measured: BTreeSet<String>,
}

#[tokio::main]
async fn main() {
    let app = TestApp::new().await;
    let mut shop = app.shop().await;
    // The floor under answers would hide what they cost.
    shop.shop.auth.floor = Duration::ZERO;
    shop.router = skymeter::gateway::router(&shop.shop);
    app.register_and_verify(&shop.router, ADMIN).await;
    auth::operator::make_admin(&app.system.store, ADMIN, app.time.now()).await.expect("an admin is made");
    let me = Account::of(&login(&shop.router, ADMIN, PASSWORD).await).user;
    let servers: Vec<_> = (0..SERVERS).map(|n| registered(&format!("srv_{n}"), me.as_str(), app.at(1))).collect();
    app.tell(&servers).await;
    app.hours(HOURS).await;
    let token = Account::of(&login(&shop.router, ADMIN, PASSWORD).await).access_token;
    let mut desk = Desk { app, shop, token, measured: BTreeSet::new() };
    println!("{:<48} {:>6} {:>6} {:>6} {:>6} {:>9}", "", "reads", "RU", "writes", "WU", "ms");
    wallets(&desk.app, &me).await;
    paying(&mut desk, me.as_str()).await;
    reading(&mut desk, me.as_str()).await;
    administering(&mut desk, me.as_str()).await;
    accounts(&mut desk).await;
    kit(&desk.app, &desk.shop, &desk.token).await;
    signing_in(&desk.shop).await;
    let all = serde_json::to_value(skymeter::gateway::openapi()).expect("it is JSON");
    for (path, item) in all["paths"].as_object().expect("it has paths") {
        for method in item.as_object().expect("it has methods").keys().filter(|method| *method != "parameters") {
            let name = format!("{} {path}", method.to_uppercase());
            if !desk.measured.contains(&name) {
                println!("not measured: {name}");
            }
        }
    }
}

impl Desk {
    fn spent(&self) -> Units {
        spent(&self.app)
    }

    /// One request, and what it took. `ids` fill the path's places, in order.
    async fn one(&mut self, name: &str, ids: &[&str], body: Option<Value>) -> Value {
        let (before, began) = (self.spent(), Instant::now());
        let answer = self.ask(name, ids, body).await;
        let (took, after) = (began.elapsed(), self.spent());
        assert!(answer.status < 300, "{name}: {}", answer.json);
        self.line(name, before, after, took);
        answer.json
    }

    /// One that changes nothing: its median.
    async fn median(&mut self, name: &str, ids: &[&str]) {
        // The first one of an area reads the public keys of tokens, once for all that follow.
        assert_eq!(self.ask(name, ids, None).await.status, 200, "{name}");
        let before = self.spent();
        self.ask(name, ids, None).await;
        let after = self.spent();
        let mut times = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            let began = Instant::now();
            self.ask(name, ids, None).await;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        self.line(name, before, after, times[REPEATS / 2]);
    }

    async fn ask(&self, name: &str, ids: &[&str], body: Option<Value>) -> Answer {
        let (method, path) = name.split_once(' ').expect("a method and a path");
        let mut ids = ids.iter();
        let filled = path.split('/').map(|part| if part.starts_with('{') { ids.next().expect("an id") } else { part });
        let path = filled.collect::<Vec<_>>().join("/");
        let path = if path.starts_with("/.") { path } else { format!("/api/v1{path}") };
        ask(&self.shop.router, method, &path, Some(&self.token), body).await
    }

    fn line(&mut self, name: &str, before: Units, after: Units, took: Duration) {
        self.measured.insert(name.to_owned());
        line(name, before, after, took);
    }
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

fn line(name: &str, before: Units, after: Units, took: Duration) {
    let tenths = |units: u64| format!("{}.{}", units / 10, units % 10);
    println!(
        "{:<48} {:>6} {:>6} {:>6} {:>6} {:>9.2}",
        name.chars().take(48).collect::<String>(),
        after.reads - before.reads,
        tenths(after.read_tenths - before.read_tenths),
        after.writes - before.writes,
        tenths(after.write_tenths - before.write_tenths),
        took.as_secs_f64() * 1_000.0,
    );
}

/// What a balance is made of: the newest page of each lane, one query for each.
async fn wallets(app: &TestApp, customer: &Id) {
    let wallet = app.wallet(customer.as_str());
    let before = spent(app);
    app.system.store.wallet_head(&wallet, true).await.expect("it is read");
    let after = spent(app);
    let mut times = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let began = Instant::now();
        app.system.store.wallet_head(&wallet, true).await.expect("it is read");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    line("a lane's balance, without the API", before, after, times[REPEATS / 2]);
}

/// Requests that change nothing, repeated.
async fn reading(desk: &mut Desk, me: &str) {
    let hour = desk.app.hour().to_string();
    let payments = desk.ask("GET /payments", &[], None).await.json;
    let payment = text(&payments["data"][0], "id");
    for (name, ids) in [
        ("GET /billing/balance", vec![]),
        ("GET /billing/transactions", vec![]),
        ("GET /billing/transactions/{id}", vec!["txn_usd_0_24"]),
        ("GET /billing/custom-credits/transactions", vec![]),
        ("GET /billing/usage/current", vec![]),
        ("GET /billing/usage", vec![]),
        ("GET /billing/servers/{id}/explain", vec!["srv_1"]),
        ("GET /billing/statements/{month}", vec!["2026-11"]),
        ("GET /billing/proof", vec![]),
        ("GET /billing/plans", vec![]),
        ("GET /billing/alerts", vec![]),
        ("GET /billing/auto-top-up", vec![]),
        ("GET /payments", vec![]),
        ("GET /payments/{id}", vec![payment.as_str()]),
        ("GET /payments/stats/summary", vec![]),
        ("GET /auth/me", vec![]),
        ("GET /auth/sessions", vec![]),
        ("GET /auth/api-keys", vec![]),
        ("GET /.well-known/jwks.json", vec![]),
        ("GET /admin/users", vec![]),
        ("GET /admin/users/{id}", vec![me]),
        ("GET /admin/users/{id}/custom-credits", vec![me]),
        ("GET /admin/settings", vec![]),
        ("GET /admin/cron/status", vec![]),
        ("GET /admin/runs", vec![]),
        ("GET /admin/runs/{hour}", vec![hour.as_str()]),
        ("GET /admin/payments/parked", vec![]),
        ("GET /admin/audit", vec![]),
        ("GET /health", vec![]),
        ("GET /health/billing-daemon", vec![]),
    ] {
        desk.median(name, &ids).await;
    }
}

/// Money comes in, and goes back. The processors' stand-ins answer within the process.
async fn paying(desk: &mut Desk, me: &str) {
    let amount = Some(json!({ "amount": "20.00", "save_method": true }));
    let intent = desk.one("POST /payments/intent", &[], amount).await;
    let object = text(&intent, "processor_object");
    desk.shop.sandbox.pay_intent(&object, Card::Visa).expect("it is paid");
    desk.one("POST /payments/{id}/confirm", &[&text(&intent, "id")], Some(json!({}))).await;
    let (before, began) = (desk.spent(), Instant::now());
    desk.shop.sandbox.deliver_all().await;
    let (after, took) = (desk.spent(), began.elapsed());
    // The rest are events that say nothing of money.
    desk.line("POST /payments/webhook", before, after, took);
    let order = desk.one("POST /payments/paypal/orders", &[], Some(json!({ "amount": "5.00" }))).await;
    desk.shop.sandbox.approve_order(&text(&order, "processor_object")).expect("it is approved");
    desk.one("POST /payments/paypal/orders/{id}/capture", &[&text(&order, "id")], Some(json!({}))).await;
    let (before, began) = (desk.spent(), Instant::now());
    desk.shop.sandbox.deliver_all().await;
    let (after, took) = (desk.spent(), began.elapsed());
    desk.line("POST /payments/webhook/paypal", before, after, took);
    let other = desk.ask("POST /payments/intent", &[], Some(json!({ "amount": "3.00" }))).await.json;
    desk.shop.sandbox.pay_intent(&text(&other, "processor_object"), Card::Visa).expect("it is paid");
    let body = json!({ "payment_id": text(&other, "id") });
    desk.one("POST /billing/custom-credits/add", &[], Some(body)).await;
    desk.one("POST /billing/tokens/add", &[], Some(json!({ "amount": "2.00" }))).await;
    let refund = json!({ "amount": "1.00", "reason": "measured" });
    desk.one("POST /payments/{id}/refund", &[&text(&other, "id")], Some(refund)).await;
    let methods = desk.one("GET /payments/methods", &[], None).await;
    let method = text(&methods["data"][0], "id");
    let alerts = json!({ "thresholds": ["30.00"], "email": true });
    desk.one("PUT /billing/alerts", &[], Some(alerts)).await;
    let top_up = json!({ "enabled": true, "threshold": "9.00", "amount": "20.00", "payment_method": method, "daily_limit": "50.00" });
    desk.one("PUT /billing/auto-top-up", &[], Some(top_up)).await;
    desk.one("DELETE /payments/methods/{id}", &[&method], None).await;
    // What the processor tells of something that is nobody's.
    desk.shop.sandbox.tune(|knobs| knobs.unknown_object = Chance::ALWAYS);
    let parked = desk.ask("POST /payments/intent", &[], Some(json!({ "amount": "4.00" }))).await.json;
    desk.shop.sandbox.pay_intent(&text(&parked, "processor_object"), Card::Visa).expect("it is paid");
    desk.shop.sandbox.deliver_all().await;
    desk.shop.sandbox.tune(|knobs| knobs.unknown_object = Chance::Off);
    let parked = desk.ask("GET /admin/payments/parked", &[], None).await.json;
    let dealt = json!({ "status": "dealt_with", "note": "measured" });
    desk.one("PUT /admin/payments/parked/{id}", &[&text(&parked["data"][0], "id")], Some(dealt)).await;
    desk.one("POST /admin/users/{id}/custom-credits", &[me], Some(json!({ "amount": "1.00", "reason": "a gift" })))
        .await;
    desk.one("DELETE /admin/users/{id}/custom-credits", &[me], Some(json!({ "amount": "1.00", "reason": "mine" })))
        .await;
}

/// What admins change.
async fn administering(desk: &mut Desk, me: &str) {
    let bulk = json!({ "rows": [{ "user_id": me, "amount": "1.00", "reason": "measured" }] });
    desk.one("POST /admin/custom-credits/bulk", &[], Some(bulk)).await;
    let setting = Some(json!({ "value": "5 * * * *" }));
    desk.one("PUT /admin/settings/{key}", &["server_hourly_billing_cron_schedule"], setting).await;
    desk.one("POST /admin/cron/trigger-hourly-billing", &[], Some(json!({}))).await;
    desk.app.system.pump(&|_| {}).await.expect("the run is done");
    let user = desk.app.sign_up("carol@example.com").await.user;
    desk.one("PUT /admin/users/{id}", &[user.as_str()], Some(json!({ "company": "Analytical Engines" }))).await;
    desk.one("DELETE /admin/users/{id}", &[user.as_str()], None).await;
}

/// A user's own account, from the first day to the last.
async fn accounts(desk: &mut Desk) {
    let password = || json!({ "password": PASSWORD });
    let credentials = |email: &str| json!({ "email": email, "password": PASSWORD });
    desk.one("POST /auth/register", &[], Some(credentials(OTHER))).await;
    desk.one("POST /auth/resend-verification", &[], Some(json!({ "email": OTHER }))).await;
    let token = desk.app.mails_of(Template::Verify, OTHER).await[0].params["token"].clone();
    desk.one("POST /auth/verify-email", &[], Some(json!({ "token": token, "password": PASSWORD }))).await;
    desk.one("POST /auth/forgot-password", &[], Some(json!({ "email": OTHER }))).await;
    let token = desk.app.mailed_token(Template::Reset, OTHER).await;
    desk.one("POST /auth/reset-password", &[], Some(json!({ "token": token, "password": "another long password" })))
        .await;
    let again = json!({ "email": OTHER, "password": "another long password" });
    desk.token = text(&desk.one("POST /auth/login", &[], Some(again.clone())).await, "access_token");
    let change = json!({ "current_password": "another long password", "new_password": PASSWORD });
    desk.one("POST /auth/change-password", &[], Some(change)).await;
    let session = desk.ask("POST /auth/login", &[], Some(credentials(OTHER))).await.json;
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    desk.one("POST /auth/refresh", &[], Some(refresh)).await;
    desk.one("DELETE /auth/sessions/{id}", &[&text(&session, "session_id")], None).await;
    desk.one("DELETE /auth/sessions", &[], None).await;
    desk.one("PATCH /auth/me", &[], Some(json!({ "company": "Analytical Engines" }))).await;
    let wanted = json!({ "name": "mine", "scopes": ["billing:read"], "password": PASSWORD });
    let key = desk.one("POST /auth/api-keys", &[], Some(wanted)).await;
    desk.one("DELETE /auth/api-keys/{id}", &[&text(&key, "id")], None).await;
    let setup = desk.one("POST /auth/2fa/setup", &[], Some(password())).await;
    let secret = TotpSecret::try_from_base32(text(&setup, "secret")).expect("it is base32");
    let at = u64::try_from(desk.app.time.now().secs()).expect("it is after 1970");
    let code = Builder::new().with_secret(secret).build().expect("it is a secret").generate(at).to_string();
    let codes = desk.one("POST /auth/2fa/confirm", &[], Some(json!({ "code": code }))).await;
    let disable = json!({ "password": PASSWORD, "code": codes["recovery_codes"][0] });
    desk.one("POST /auth/2fa/disable", &[], Some(disable)).await;
    let new = "robert@example.com";
    desk.one("POST /auth/change-email", &[], Some(credentials(new))).await;
    let token = desk.app.mailed_token(Template::ConfirmEmail, new).await;
    desk.one("POST /auth/confirm-email", &[], Some(json!({ "token": token, "password": PASSWORD }))).await;
    desk.one("GET /auth/me/export", &[], None).await;
    desk.one("POST /auth/logout", &[], None).await;
    desk.token = Account::of(&login(&desk.shop.router, new, PASSWORD).await).access_token;
    desk.one("DELETE /auth/me", &[], Some(password())).await;
    desk.token = Account::of(&login(&desk.shop.router, ADMIN, PASSWORD).await).access_token;
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
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
    let session = Account::of(&login(&shop.router, ADMIN, PASSWORD).await).session;
    let mut fresh = Vec::new();
    for _ in 0..REPEATS {
        fresh.push(app.token_of("usr_1", &session).await);
    }
    let began = Instant::now();
    for token in &fresh {
        keys.verify(token).await.expect("the token holds");
    }
    let first = each(began, u32::try_from(REPEATS).unwrap_or(u32::MAX));
    let began = Instant::now();
    for _ in 0..times {
        keys.verify(token).await.expect("the token holds");
    }
    let verified = each(began, times);
    println!("\nkit: a request without a table {routed:.0} us, a token {verified:.0} us, the first time {first:.0} us");
}

/// Signing in, beside the one thing in it that is meant to be slow.
async fn signing_in(shop: &TestShop) {
    let passwords = Passwords::new();
    let hash = passwords.hash(PASSWORD.to_owned()).await.expect("it is hashed");
    let (mut argon, mut all) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let began = Instant::now();
        passwords.check(PASSWORD.to_owned(), Some(hash.clone())).await.expect("it is checked");
        argon.push(began.elapsed());
        let began = Instant::now();
        let _ = login(&shop.router, ADMIN, PASSWORD).await;
        all.push(began.elapsed());
    }
    argon.sort_unstable();
    all.sort_unstable();
    let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1_000.0;
    println!("signing in: {:.1} ms, of which Argon2id {:.1} ms", ms(&all), ms(&argon));
}
