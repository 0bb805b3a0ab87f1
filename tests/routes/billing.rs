//! What a customer reads about their money, against the ledger and against the rating rules worked out anew here.

use axum::Router;
use cashier::{Cashier, CashierConfig};
use domain::account::Role;
use domain::plan::Metering;
use domain::wallet::{Entry, ExportPage, Kind, append};
use domain::{Amount, Unit};
use serde_json::{Value, json};
use store::{AppendOnce, Fact};
use tests::{Answer, TestApp, ask, id, plan, registered};

/// The area on the app's parts, and a customer who is signed in.
pub struct Billing {
    pub router: Router,
    pub token: String,
}

/// The area on the app's parts, with no processor behind it.
pub fn state(app: &TestApp) -> billing::State {
    let cashier = Cashier::new(CashierConfig {
        store: app.system.store.clone(),
        clock: app.time.clock(),
        stripe: None,
        paypal: None,
        mails: None,
        return_url: String::new(),
    });
    billing::State { kit: app.kit(billing::AREA), cashier: cashier.unwrap() }
}

impl Billing {
    pub async fn of(app: &TestApp, customer: &str) -> Self {
        Self { router: billing::router(state(app)), token: app.sign_in(customer, Role::User).await }
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        ask(&self.router, method, &format!("/api/v1/billing{path}"), Some(&self.token), body).await
    }

    /// A GET that must be answered.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.json);
        answer.json
    }

    /// A GET that is refused: status and code.
    pub async fn refused(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path, None).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}: {}", answer.json);
        (answer.status, answer.json["code"].as_str().unwrap_or_default().to_owned())
    }

    /// All rows of a list, by its cursors. The path has a query.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await;
        let mut rows = page["data"].as_array().unwrap().clone();
        if let Some(cursor) = page["next_cursor"].as_str() {
            rows.extend(self.rest(path, cursor).await);
        }
        rows
    }

    /// The rows of a list from a cursor on.
    pub async fn rest(&self, path: &str, cursor: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), cursor.to_owned());
        for _ in 0..500 {
            let page = self.get(&format!("{path}&cursor={cursor}")).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return rows,
            }
        }
        panic!("the list has no end");
    }
}

/// Money comes into a customer's first lane.
pub async fn posts(app: &TestApp, customer: &str, unit: Unit, kind: Kind, steps: i64, reference: &str) {
    let wallet = domain::tenure::WalletId { unit, ..app.wallet(customer) };
    let head = app.system.store.wallet_head(&wallet, true).await.unwrap();
    let entry = Entry {
        kind,
        amount: Amount::from_steps(steps),
        actor: Some("tests".to_owned()),
        reason: None,
        reference: Some(reference.to_owned()),
    };
    let page = append(&wallet, head.as_ref(), entry, app.time.now()).unwrap();
    assert_eq!(app.system.store.wallet_append_once(&page, reference).await.unwrap(), AppendOnce::Written);
}

/// A server of another plan than [`tests::PLAN`].
pub fn on_plan(fact: Fact, name: &str) -> Fact {
    match fact {
        Fact::Registered { server, customer, unit, state, at, .. } => {
            Fact::Registered { server, customer, unit, plan: id(name), state, at }
        }
        other => other,
    }
}

/// `R(p*min(n,H)/H)` of the rating rules, in millionths: written down once more, so that the product's own is not
/// asked.
pub fn accrued(price_micros: i128, n: i128, per: i128) -> i128 {
    let (num, half) = (price_micros * n.min(per), per);
    let (floor, rest) = (num / per, num % per);
    match (2 * rest).cmp(&half) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor % 2,
    }
}

/// An amount of the API in millionths of a dollar.
pub fn micros(value: &Value) -> i128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or_else(|| panic!("{text} has no point"));
    assert!((2..=6).contains(&fraction.len()), "{text}");
    sign * format!("{whole}{fraction:0<6}").parse::<i128>().unwrap()
}

/// The sum of a field over rows.
pub fn sum(rows: &Value, field: &str) -> i128 {
    rows.as_array().unwrap().iter().map(|row| micros(&row[field])).sum()
}

/// Every page there is, as `skymeter export` prints it.
pub async fn exported(app: &TestApp) -> Vec<Value> {
    let mut out = Vec::new();
    skymeter::commands::export::write(&app.system.store, &mut out).await.unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three servers, fifty hours, twenty dollars.
async fn fifty_hours(app: &TestApp) {
    app.system.store.plan_put(&plan("five", "5.00", Metering::Hourly)).await.unwrap();
    app.system.store.plan_put(&plan("odd", "13.370001", Metering::Hourly)).await.unwrap();
    posts(app, "usr_1", Unit::Usd, Kind::Payment, 20_000_000, "pi_1").await;
    app.tell(&[
        on_plan(registered("srv-1", "usr_1", app.at(0)), "five"),
        on_plan(registered("srv-2", "usr_1", app.at(0)), "odd"),
        on_plan(registered("srv-3", "usr_1", app.at(0)), "five"),
        registered("srv-other", "usr_2", app.at(0)),
    ])
    .await;
    app.hours(50).await;
}

#[tokio::test]
async fn everything_that_is_read_of_three_servers_and_fifty_hours_agrees_to_the_last_digit() {
    let app = TestApp::new().await;
    fifty_hours(&app).await;
    let billing = Billing::of(&app, "usr_1").await;
    let costs = [("srv-1", 5_000_000), ("srv-2", 13_370_001), ("srv-3", 5_000_000)]
        .map(|(server, price)| (server, price, accrued(price, 50, 730)));
    let used: i128 = costs.iter().map(|(.., cost)| cost).sum();
    let left = 20_000_000 - used;

    let balance = billing.get("/balance").await;
    assert_eq!(micros(&balance["custom_credits"]["amount"]), left);
    assert_eq!(balance["custom_credits"]["unit"], "usd");
    assert_eq!(balance["virtfusion_tokens"], json!({ "amount": "0.00", "unit": "token" }));
    assert_eq!(i128::from(app.balance("usr_1").await), left);

    for (server, price, cost) in costs {
        let explained = billing.get(&format!("/servers/{server}/explain?month=2026-11")).await;
        assert_eq!((micros(&explained["totals"][0]["cost"]), explained["complete"].as_bool()), (cost, Some(true)));
        let lines = explained["lines"].as_array().unwrap();
        assert_eq!(lines.len(), 50);
        for (n, line) in (0_i128..).zip(lines) {
            assert_eq!(line["n_before"], json!(n));
            assert_eq!(micros(&line["amount"]), accrued(price, n + 1, 730) - accrued(price, n, 730));
            assert_eq!(sum(&line["by_hour"], "amount"), micros(&line["amount"]));
        }
    }

    let statement = billing.get("/statements/2026-11").await;
    let wallet = &statement["wallets"][0];
    assert_eq!((micros(&wallet["opening"]), micros(&wallet["closing"])), (0, left));
    assert_eq!(
        wallet["kinds"],
        json!([
            { "type": "usage", "amount": billing_text(-used) }, { "type": "payment", "amount": "20.00" },
        ])
    );
    for (server, (name, _, cost)) in wallet["servers"].as_array().unwrap().iter().zip(costs) {
        assert_eq!((server["server"].as_str(), micros(&server["cost"])), (Some(name), cost));
        assert_eq!(server["hours"], 50);
    }

    let current = billing.get("/usage/current").await;
    for (server, (name, price, cost)) in current["data"].as_array().unwrap().iter().zip(costs) {
        assert_eq!((server["server"].as_str(), micros(&server["cost"])), (Some(name), cost));
        // From the tenth on there are 21 days: 504 hours.
        assert_eq!(micros(&server["forecast"]), accrued(price, 504, 730));
        assert_eq!(
            (&server["n"], &server["state"], &server["pending"]),
            (&json!(50), &json!("running"), &json!("0.00"))
        );
    }
    assert_eq!(micros(&current["totals"][0]["cost"]), used);
    assert_eq!(current["totals"][0]["runway_hours"], json!(u64::try_from(left * 730 / 23_370_001).unwrap()));
    assert_eq!(current["totals"][1]["runway_hours"], Value::Null);

    let rows = billing.all("/usage?limit=7").await;
    assert_eq!(rows.len(), 150);
    assert_eq!(rows.iter().map(|row| micros(&row["cost"])).sum::<i128>(), used);
    let transactions = billing.all("/transactions?limit=9").await;
    assert_eq!(transactions.len(), 51);
    assert_eq!(transactions.iter().map(|row| micros(&row["amount"])).sum::<i128>(), left);
    assert_eq!(app.verify().await.server_hours, 200);
}

fn billing_text(micros: i128) -> String {
    api::show(Amount::from_steps(i64::try_from(micros).unwrap()), Unit::Usd)
}

#[tokio::test]
async fn a_transaction_is_the_page_that_export_prints() {
    let app = TestApp::new().await;
    fifty_hours(&app).await;
    let billing = Billing::of(&app, "usr_1").await;
    let exported: Vec<Value> = exported(&app).await.into_iter().filter(|page| page["customer"] == "usr_1").collect();
    assert_eq!(exported.len(), 51);
    for page in &exported {
        let full = billing.get(&format!("/transactions/txn_usd_0_{}", page["seq"])).await;
        assert_eq!(&full["page"], page);
        assert_eq!((&full["type"], micros(&full["amount"])), (&page["kind"], micros(&page["amount"])));
    }
    let newest = billing.get("/transactions?limit=1").await;
    assert_eq!(newest["data"][0]["id"], "txn_usd_0_51");
    assert_eq!((&newest["data"][0]["hours"], &newest["data"][0]["servers"]), (&json!(3), &json!(3)));
    // The names of another customer's pages are not this one's, and a page that is not there is not there.
    for missing in ["txn_usd_0_52", "txn_usd_1_1", "txn_token_0_1", "txn_usd_0_0", "x", "txn_usd_00_1", "pay_1"] {
        assert_eq!(
            billing.refused(&format!("/transactions/{missing}")).await,
            (404, "not_found".to_owned()),
            "{missing}"
        );
    }
    let other = Billing::of(&app, "usr_2").await;
    assert_ne!(other.get("/transactions/txn_usd_0_1").await["page"], exported[0]);
    assert_eq!(other.refused("/transactions/txn_usd_0_51").await.0, 404);
}

#[tokio::test]
async fn who_has_nothing_reads_nothing() {
    let app = TestApp::new().await;
    fifty_hours(&app).await;
    let billing = Billing::of(&app, "usr_3").await;
    let nothing = json!({ "amount": "0.00", "unit": "usd" });
    let balance = billing.get("/balance").await;
    assert_eq!((&balance["custom_credits"], &balance["virtfusion_credits"]), (&nothing, &nothing));
    for list in ["/transactions", "/custom-credits/transactions", "/usage", "/usage/current"] {
        let page = billing.get(list).await;
        assert_eq!((page["data"].as_array().unwrap().len(), &page["next_cursor"]), (0, &Value::Null), "{list}");
    }
    assert_eq!(billing.get("/usage/current").await["totals"][0]["runway_hours"], Value::Null);
    assert_eq!(billing.get("/proof").await["chains"], json!([]));
    for path in ["/statements/2026-11", "/servers/srv-1/explain", "/servers/srv-none/explain", "/servers/%23/explain"] {
        assert_eq!(billing.refused(path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_proof_tells_the_heads_and_finds_a_page_that_was_changed() {
    let app = TestApp::new().await;
    fifty_hours(&app).await;
    let billing = Billing::of(&app, "usr_1").await;
    let head = app.pages("usr_1").await.pop().unwrap();
    for (query, from, pages) in [("", 2, 50), ("?pages=3", 49, 3), ("?pages=200", 1, 51)] {
        let proof = billing.get(&format!("/proof{query}")).await;
        let chain = &proof["chains"][0];
        assert_eq!(chain["head"]["hash"].as_str(), Some(ExportPage::new(&head).hash.unwrap().as_str()));
        assert_eq!((micros(&chain["balance"]), &chain["holds"]), (i128::from(head.after.steps()), &json!(true)));
        assert_eq!((&chain["verified_from"], &chain["verified_pages"]), (&json!(from), &json!(pages)));
    }
    for wrong in ["pages=0", "pages=201", "pages=x", "page=1", "pages=3&pages=4"] {
        assert_eq!(billing.refused(&format!("/proof?{wrong}")).await, (400, "invalid_parameter".to_owned()), "{wrong}");
    }
    // A page that says something else than its hash: sealed by hand, and put where the next one belongs.
    let entry = Entry { kind: Kind::Admin, amount: Amount::from_steps(1), actor: None, reason: None, reference: None };
    let mut forged = append(&app.wallet("usr_1"), Some(&head), entry, app.time.now()).unwrap();
    forged.reason = Some("not what was sealed".to_owned());
    app.system.store.wallet_append(&forged).await.unwrap();
    assert_eq!(billing.get("/proof").await["chains"][0]["holds"], json!(false));
    // The statement still adds up; a link that is broken would not be shown at all.
    assert_eq!(billing.get("/statements/2026-11").await["wallets"][0]["lanes"][0]["pages"], 52);
    let broken = domain::wallet::Page {
        seq: 53,
        prev_hash: [7; 32],
        before: forged.after,
        after: forged.after + forged.amount,
        ..forged
    };
    app.system.store.wallet_append(&broken.sealed()).await.unwrap();
    assert_eq!(billing.refused("/statements/2026-11").await, (503, "unavailable".to_owned()));
    assert_eq!(billing.get("/proof").await["chains"][0]["holds"], json!(false));
}
