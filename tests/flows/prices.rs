//! Prices through the whole pipeline: own rates, discounts, versions, per-second plans.

use domain::plan::{CustomerRates, DiscountStep, Metering, PlanVersion, Price, RateStep};
use domain::wallet::Line;
use store::{Fact, FactOutcome};
use tests::{CENT, TestApp, ended, id, plan, registered};

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

async fn lines(app: &TestApp) -> Vec<Line> {
    app.pages("cus-1").await.into_iter().flat_map(|page| page.lines).collect()
}

#[tokio::test]
async fn a_price_change_takes_effect_at_a_full_hour_at_least_15_minutes_ahead() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass_secs(50 * 60);
    let change = |from| Fact::PriceChanged { server: id("srv-1"), price: Some(price("14.60")), from };
    let refused = app.told(&[change(app.hour().plus(1)), change(app.hour())]).await;
    assert!(refused.iter().all(|outcome| matches!(outcome, FactOutcome::Rejected(_))));
    app.tell(&[change(app.hour().plus(2))]).await;
    // Billed late, in one go: each hour has the price that was in force at it.
    app.pass(4);
    app.bill().await;
    let seen: Vec<_> =
        lines(&app).await.iter().map(|l| (l.hours(), l.price.to_string(), l.secs_after / 3600)).collect();
    assert_eq!(seen, [(2, "7.30".to_owned(), 2), (2, "14.60".to_owned(), 4)]);
    assert_eq!(app.balance("cus-1").await, -6 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_customers_rate_and_discount_are_exact_on_the_page() {
    let app = TestApp::new().await;
    let mut rates = CustomerRates::default();
    rates.plans.insert(id(tests::PLAN), vec![RateStep { from: app.hour(), price: Some(price("10.00")) }]);
    rates.discounts.push(DiscountStep { from: app.hour().plus(1), percent: "12.5".to_owned() });
    app.system.store.rates_put(&id("cus-1"), &rates).await.unwrap();
    app.tell(&[registered("srv-1", "cus-1", app.at(1)), registered("srv-2", "cus-2", app.at(1))]).await;
    app.hours(2).await;
    assert_eq!(lines(&app).await.iter().map(|l| l.price.to_string()).collect::<Vec<_>>(), ["10.00", "8.75"]);
    assert_eq!(app.balance("cus-2").await, -2 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_new_plan_version_holds_from_its_hour_on() {
    let app = TestApp::new().await;
    let mut cent = plan(tests::PLAN, "7.30", Metering::Hourly);
    let mut terms = cent.versions[0].terms.clone();
    (terms.version, terms.price) = (id("cent-v2"), price("21.90"));
    cent.versions.push(PlanVersion { from: app.hour().plus(2), terms });
    app.system.store.plan_put(&cent).await.unwrap();
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.hours(3).await;
    assert_eq!(app.balance("cus-1").await, -(1 + 1 + 3) * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_per_second_plan_bills_seconds_and_its_totals_are_exact() {
    let app = TestApp::new().await;
    app.system.store.plan_put(&plan("seconds", "2628.00", Metering::PerSecond)).await.unwrap();
    let mut fact = registered("srv-1", "cus-1", app.at(30));
    if let Fact::Registered { plan, .. } = &mut fact {
        *plan = id("seconds");
    }
    app.tell(&[fact, ended("srv-1", app.at(151))]).await;
    app.pass(4);
    app.bill().await;
    // 3.60 USD an hour is a tenth of a cent a second: 1800 + 3600 + 1860 seconds.
    assert_eq!(app.balance("cus-1").await, -7_260_000);
    let hour = tests::time(tests::BEGIN).hour();
    for (n, steps) in [(0, 1_800_000), (1, 3_600_000), (2, 1_860_000)] {
        let total = app.system.store.hour_total(domain::Unit::Usd, hour.plus(n)).await.unwrap();
        assert_eq!((total.server_hours, total.amount_steps), (1, steps));
    }
    app.verify().await;
}
