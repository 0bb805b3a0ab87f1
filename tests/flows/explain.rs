//! Why a server cost what it did: price changes, corrections, caps, lanes and long chains, against the ledger.

use crate::routes::billing::{Billing, accrued, exported, micros, on_plan, posts, sum};
use domain::plan::{CustomerRates, DiscountStep, Metering, PlanVersion, Price, RateStep};
use domain::wallet::{Entry, Kind, append};
use domain::{Amount, Unit};
use serde_json::{Value, json};
use store::Fact;
use tests::{CENT, TestApp, changed, ended, id, plan, registered, time};

/// What the exported ledger says a server cost in a month: lines and adjustments by the month of their first hour.
async fn ledger_cost(app: &TestApp, server: &str, month: &str) -> i128 {
    let first_hour = |hours: i64| domain::Hour::try_from(u32::try_from(hours).unwrap()).unwrap().to_string();
    let mut cost = 0;
    for page in exported(app).await {
        for line in page["lines"].as_array().unwrap().iter().filter(|line| line["server"] == server) {
            if line["from"].as_str().unwrap().starts_with(month) {
                cost += micros(&line["amount"]);
            }
        }
        let reference = page["reference"].as_str().unwrap_or_default();
        let parts: Vec<&str> = reference.split(':').collect();
        if page["kind"] == "adjustment"
            && parts[1] == server
            && first_hour(parts[2].parse().unwrap()).starts_with(month)
        {
            cost -= micros(&page["amount"]);
        }
    }
    cost
}

async fn explained(billing: &Billing, server: &str, month: &str) -> Value {
    billing.get(&format!("/servers/{server}/explain?month={month}")).await
}

#[tokio::test]
async fn each_price_is_named_with_its_version_and_whose_it_is() {
    let app = TestApp::new().await;
    let mut five = plan("five", "5.00", Metering::Hourly);
    let mut terms = five.versions[0].terms.clone();
    (terms.version, terms.price) = (id("five-v2"), Price::parse("8.00").unwrap());
    five.versions.push(PlanVersion { from: app.hour().plus(2), terms });
    app.system.store.plan_put(&five).await.unwrap();
    let mut rates = CustomerRates::default();
    let rate =
        |from: u32, price: &str| RateStep { from: app.hour().plus(from), price: Some(Price::parse(price).unwrap()) };
    rates.plans.insert(id("five"), vec![rate(4, "6.00")]);
    rates.discounts.push(DiscountStep { from: app.hour().plus(6), percent: "12.5".to_owned() });
    app.system.store.rates_put(&id("usr_1"), &rates).await.unwrap();
    app.tell(&[on_plan(registered("srv-1", "usr_1", app.at(0)), "five")]).await;
    let own = Fact::PriceChanged {
        server: id("srv-1"),
        price: Some(Price::parse("3.00").unwrap()),
        from: app.hour().plus(8),
    };
    app.tell(&[own]).await;
    app.pass(10);
    app.bill().await;
    let billing = Billing::of(&app, "usr_1").await;
    let answer = explained(&billing, "srv-1", "2026-11").await;
    let seen: Vec<_> = answer["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (text("price"), text("price_version"), text("price_source"), text("list_price"), text("discount_percent"))
        })
        .collect();
    let expected = [
        ("5.00", "five-v1", "plan", "5.00", "-"),
        ("8.00", "five-v2", "plan", "8.00", "-"),
        ("6.00", "five-v2", "customer", "6.00", "-"),
        ("5.25", "five-v2", "customer", "6.00", "12.5"),
        ("2.625", "five-v2", "server", "3.00", "12.5"),
    ];
    let expected =
        expected.map(|(a, b, c, d, e)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned(), e.to_owned()));
    assert_eq!(seen, expected);
    let by_rule: i128 = [5_000_000, 8_000_000, 6_000_000, 5_250_000, 2_625_000]
        .into_iter()
        .zip([0, 2, 4, 6, 8])
        .map(|(price, n)| accrued(price, n + 2, 730) - accrued(price, n, 730))
        .sum();
    assert_eq!(micros(&answer["totals"][0]["cost"]), by_rule);
    assert_eq!(answer["lines"][1]["formula"], "R(8.00*min(4,730)/730) - R(8.00*min(2,730)/730)");
    // The live view asks the ledger, since the price changed within the month.
    let current = billing.get("/usage/current").await;
    assert_eq!(
        (micros(&current["data"][0]["cost"]), &current["data"][0]["cost_is_estimated"]),
        (by_rule, &json!(false))
    );
    // A price that is no longer what it was is not made up.
    let other = plan("five", "9.99", Metering::Hourly);
    app.system.store.plan_put(&other).await.unwrap();
    let answer = explained(&billing, "srv-1", "2026-11").await;
    assert_eq!((&answer["lines"][0]["price"], &answer["lines"][0]["price_version"]), (&json!("5.00"), &Value::Null));
}

#[tokio::test]
async fn corrections_credited_charged_and_taken_back_are_all_told() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(0)), registered("srv-2", "usr_1", app.at(0))]).await;
    app.hours(6).await;
    app.tell(&[ended("srv-1", app.at(125))]).await;
    app.hours(1).await;
    app.tell(&[ended("srv-1", app.at(245))]).await;
    app.tell(&[changed("srv-2", "error", app.at(60)), changed("srv-2", "running", app.at(120))]).await;
    app.hours(9).await;
    let billing = Billing::of(&app, "usr_1").await;
    let one = explained(&billing, "srv-1", "2026-11").await;
    let seen: Vec<_> = one["adjustments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (micros(&a["amount"]), a["seconds"].as_u64().unwrap(), a["corrects"].as_array().unwrap().len()))
        .collect();
    // Three hours were credited; two of them were charged again, which corrects their lines and the credit.
    assert_eq!(seen, [(3 * i128::from(CENT), 0, 3), (-2 * i128::from(CENT), 3_600, 3)]);
    for (server, hours) in [("srv-1", 5), ("srv-2", 15)] {
        let answer = explained(&billing, server, "2026-11").await;
        let cost = micros(&answer["totals"][0]["cost"]);
        assert_eq!(cost, hours * i128::from(CENT), "{server}");
        assert_eq!(cost, ledger_cost(&app, server, "2026-11").await);
        assert_eq!(sum(&answer["lines"], "amount") - sum(&answer["adjustments"], "amount"), cost);
    }
    let current = billing.get("/usage/current").await;
    let live = current["data"].as_array().unwrap().iter().find(|row| row["server"] == "srv-2").unwrap();
    assert_eq!((micros(&live["cost"]), &live["cost_is_estimated"]), (15 * i128::from(CENT), &json!(false)));
    let statement = billing.get("/statements/2026-11").await;
    let servers = &statement["wallets"][0]["servers"];
    assert_eq!((servers[0]["adjustments"].as_str(), servers[1]["cost"].as_str()), (Some("0.01"), Some("0.15")));
    assert_eq!(micros(&statement["wallets"][0]["closing"]), i128::from(app.balance("usr_1").await));
    app.verify().await;
}

#[tokio::test]
async fn a_start_seen_late_is_charged_with_the_months_next_numbers_and_told() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(0)), changed("srv-1", "error", app.at(30))]).await;
    app.hours(2).await;
    app.tell(&[changed("srv-1", "running", app.at(240))]).await;
    app.hours(6).await;
    app.tell(&[changed("srv-1", "running", app.at(70))]).await;
    app.hours(10).await;
    let billing = Billing::of(&app, "usr_1").await;
    let answer = explained(&billing, "srv-1", "2026-11").await;
    assert_eq!(
        (micros(&answer["totals"][0]["charged"]), micros(&answer["totals"][0]["corrected"])),
        (150_000, -30_000)
    );
    assert_eq!(micros(&answer["totals"][0]["cost"]), ledger_cost(&app, "srv-1", "2026-11").await);
    let current = billing.get("/usage/current").await;
    assert_eq!((micros(&current["data"][0]["cost"]), &current["data"][0]["n"]), (180_000, &json!(18)));
    app.verify().await;
}

#[tokio::test]
async fn a_month_ends_at_its_last_hour_and_a_statement_at_its_last_second() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(0))]).await;
    app.time.set(time("2026-11-30T22:00:05Z"));
    app.bill().await;
    app.hours(4).await;
    posts(&app, "usr_1", Unit::Usd, Kind::Payment, 5_000_000, "pi_1").await;
    let billing = Billing::of(&app, "usr_1").await;
    let (november, december) =
        (explained(&billing, "srv-1", "2026-11").await, explained(&billing, "srv-1", "2026-12").await);
    assert_eq!(micros(&november["totals"][0]["cost"]), accrued(7_300_000, 504, 730));
    assert_eq!((micros(&december["totals"][0]["cost"]), &december["lines"][0]["n_before"]), (20_000, &json!(0)));
    for month in ["2026-11", "2026-12"] {
        let answer = explained(&billing, "srv-1", month).await;
        assert_eq!(micros(&answer["totals"][0]["cost"]), ledger_cost(&app, "srv-1", month).await);
    }
    assert_eq!(explained(&billing, "srv-1", "2026-10").await["lines"], json!([]));
    // The last hour of November was posted in December.
    let wallet = async |month: &str| billing.get(&format!("/statements/{month}")).await;
    let (early, late) = (wallet("2026-11").await, wallet("2026-12").await);
    assert_eq!((&early["complete"], &late["complete"]), (&json!(true), &json!(false)));
    let (early, late) = (&early["wallets"][0], &late["wallets"][0]);
    assert_eq!((micros(&early["closing"]), &early["closing"]), (-503 * 10_000, &late["opening"]));
    assert_eq!(late["kinds"], json!([{ "type": "usage", "amount": "-0.03" }, { "type": "payment", "amount": "5.00" }]));
    assert_eq!(micros(&late["closing"]), i128::from(app.balance("usr_1").await));
    assert_eq!(
        (early["lanes"][0]["last"]["seq"].as_u64().unwrap() + 1),
        late["lanes"][0]["first"]["seq"].as_u64().unwrap()
    );
    assert_eq!(billing.get("/usage/current").await["data"][0]["cost"], "0.02");
    app.verify().await;
}

#[tokio::test]
async fn a_month_costs_its_price_and_says_where_the_cap_was_reached() {
    let app = TestApp::new().await;
    app.system.store.hours_per_month_set(100, time(tests::BEGIN)).await.unwrap();
    app.tell(&[registered("srv-1", "usr_1", app.at(0))]).await;
    app.time.set(time("2026-12-06T00:00:05Z"));
    app.bill().await;
    app.hours(2).await;
    let billing = Billing::of(&app, "usr_1").await;
    let answer = explained(&billing, "srv-1", "2026-12").await;
    let lines = answer["lines"].as_array().unwrap();
    assert!(lines.iter().all(|line| line["cap_reached"] == json!(true) && line["per"] == json!(100)));
    assert_eq!((lines.len(), micros(&answer["totals"][0]["cost"])), (3, 7_300_000));
    assert_eq!(lines[0]["by_hour"].as_array().unwrap().len(), 120);
    assert_eq!(
        (&lines[0]["by_hour"][99]["n_after"], &lines[0]["by_hour"][100]["amount"]),
        (&json!(100), &json!("0.00"))
    );
    let current = billing.get("/usage/current").await;
    assert_eq!((&current["data"][0]["cap_reached"], &current["data"][0]["forecast"]), (&json!(true), &json!("7.30")));
    app.verify().await;
}

#[tokio::test]
async fn who_owned_a_server_reads_their_own_months_only() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(0))]).await;
    app.hours(3).await;
    app.tell(&[Fact::Transferred { server: id("srv-1"), customer: id("usr_2"), at: app.time.now() }]).await;
    app.hours(30).await;
    let (one, two) = (Billing::of(&app, "usr_1").await, Billing::of(&app, "usr_2").await);
    // The old owner's tenure is closed by now, and can still be explained.
    assert!(one.get("/usage/current").await["data"].as_array().unwrap().is_empty());
    assert_eq!(micros(&explained(&one, "srv-1", "2026-11").await["totals"][0]["cost"]), 4 * i128::from(CENT));
    assert_eq!(micros(&explained(&two, "srv-1", "2026-11").await["totals"][0]["cost"]), 29 * i128::from(CENT));
    assert_eq!(Billing::of(&app, "usr_3").await.refused("/servers/srv-1/explain").await.0, 404);
    app.verify().await;
}

/// A writer whose clock was wrong: pages step back in time, and still each stands in one month, whoever looks.
#[tokio::test]
async fn a_time_that_steps_back_files_each_page_once() {
    let app = TestApp::new().await;
    let store = &app.system.store;
    let wallet = app.wallet("usr_1");
    let edge = time("2026-12-01T00:00:00Z");
    // Minutes before and after the edge, as clocks that are up to an hour off told them.
    let minutes: [i64; 14] = [-300, -200, -130, -90, -40, -80, -30, 5, -55, 20, -10, 40, 90, 200];
    let mut head = None;
    for (n, minute) in minutes.into_iter().enumerate() {
        let reference = Some(format!("p{n}"));
        let entry =
            Entry { kind: Kind::Admin, amount: Amount::from_steps(1_000_000), actor: None, reason: None, reference };
        let page = append(&wallet, head.as_ref(), entry, edge.plus_secs(minute * 60)).unwrap();
        store.wallet_append(&page).await.unwrap();
        head = Some(page);
    }
    let head = head.unwrap();
    assert_eq!(store.wallet_edge(&wallet, &head, edge).await.unwrap(), 8, "the first page after the edge");
    // The same for a reader who saw a shorter chain.
    for seq in 9..=14 {
        let shorter = store.wallet_page(&wallet, seq).await.unwrap().unwrap();
        assert_eq!(store.wallet_edge(&wallet, &shorter, edge).await.unwrap(), 8, "{seq}");
    }
    assert_eq!(store.wallet_edge(&wallet, &head, time("2026-01-01T00:00:00Z")).await.unwrap(), 1);
    assert_eq!(store.wallet_edge(&wallet, &head, edge.plus_secs(12_001)).await.unwrap(), 15);
    app.time.set(time("2026-12-02T00:00:00Z"));
    let billing = Billing::of(&app, "usr_1").await;
    let closing = |statement: &Value| statement["wallets"][0]["closing"].as_str().unwrap().to_owned();
    let (early, late) = (billing.get("/statements/2026-11").await, billing.get("/statements/2026-12").await);
    assert_eq!((closing(&early), closing(&late)), ("7.00".to_owned(), "14.00".to_owned()));
    assert_eq!(late["wallets"][0]["opening"], "7.00");
}

/// A chain whose month is too long for one answer is told in parts that add up.
#[tokio::test]
async fn a_long_month_is_told_in_parts() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "usr_1", app.at(1))]).await;
    app.hours(3).await;
    // Twenty megabytes of something else between two runs: an answer reads sixteen.
    let (store, wallet) = (&app.system.store, app.wallet("usr_1"));
    let mut head = store.wallet_head(&wallet, true).await.unwrap();
    for n in 0..100 {
        let reason = Some("x".repeat(200_000));
        let entry = Entry { kind: Kind::Admin, amount: Amount::from_steps(n), actor: None, reason, reference: None };
        let page = append(&wallet, head.as_ref(), entry, app.time.now()).unwrap();
        store.wallet_append(&page).await.unwrap();
        head = Some(page);
    }
    app.hours(3).await;
    let billing = Billing::of(&app, "usr_1").await;
    let (mut parts, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = billing.get(&format!("/servers/srv-1/explain?month=2026-11{cursor}")).await;
        assert_eq!(answer["complete"], json!(false));
        let hours = answer["lines"].as_array().unwrap().len();
        parts.push((
            hours,
            answer["totals"].as_array().unwrap().iter().map(|total| micros(&total["cost"])).sum::<i128>(),
        ));
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(parts, [(3, 3 * i128::from(CENT)), (3, 3 * i128::from(CENT))]);
    let statement = billing.get("/statements/2026-11").await;
    assert_eq!(micros(&statement["wallets"][0]["closing"]), 4_950 - 6 * i128::from(CENT));
    // What a list reads in one request is bounded too: it goes on by its cursor, and finds what it looks for.
    assert_eq!(billing.all("/transactions?type=usage&limit=100").await.len(), 6);
}
