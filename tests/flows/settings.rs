//! Settings: bounds, history, and when a change takes effect.

use store::StoreError;
use tests::{TestApp, registered};

#[tokio::test]
async fn the_defaults_are_those_of_the_systems_we_replace() {
    let time = skymeter::commands::replay::SimulatedClock::new(tests::time(tests::BEGIN));
    let system = skymeter::system::System::open(None, time.clock(), None).await.unwrap();
    let settings = system.store.billing_settings().await.unwrap();
    assert_eq!(settings.schedule.expression(), "0 * * * *");
    assert_eq!(settings.per.at(time.now().hour()), 730);
    assert!(!settings.switch.is_on(time.now().hour()));
}

#[tokio::test]
async fn a_setting_out_of_range_is_refused_and_changes_nothing() {
    let app = TestApp::new().await;
    let before = app.system.store.billing_settings().await.unwrap();
    for hours in [0, 8_761, 100_000] {
        let answer = app.system.store.hours_per_month_set(hours, app.time.now()).await;
        assert!(
            matches!(&answer, Err(StoreError::Invalid(text)) if text.contains("server_hours_per_month")),
            "{answer:?}"
        );
    }
    for cron in ["", "* * *", "99 * * * *", "0 * * * * *", "0 * * * MOON"] {
        let answer = app.system.store.schedule_set(cron).await;
        let named = |text: &str| text.contains("server_hourly_billing_cron_schedule");
        assert!(matches!(&answer, Err(StoreError::Invalid(text)) if named(text)), "{cron}: {answer:?}");
    }
    assert_eq!(app.system.store.billing_settings().await.unwrap(), before);
    app.system.store.schedule_set("*/15 * * * *").await.unwrap();
    assert_eq!(app.system.store.billing_settings().await.unwrap().schedule.expression(), "*/15 * * * *");
}

#[tokio::test]
async fn hours_per_month_change_with_the_next_month() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    let month = app.system.store.hours_per_month_set(100, app.time.now()).await.unwrap();
    assert_eq!(month.to_string(), "2026-12");
    app.pass(21 * 24 + 200);
    app.bill().await;
    let page = app.pages("cus-1").await.remove(0);
    let seen: Vec<_> = page.lines.iter().map(|l| (l.per, l.hours(), l.amount.steps())).collect();
    assert_eq!(seen, [(730, 504, 5_040_000), (100, 200, 7_300_000)]);
    app.verify().await;
}
