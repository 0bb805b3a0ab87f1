//! Facts about hours that are closed.

use domain::tenure::Tenure;
use domain::wallet::Kind;
use store::FactOutcome;
use tests::{CENT, TestApp, changed, ended, id, registered};

async fn kinds(app: &TestApp) -> Vec<(Kind, i64)> {
    let pages = app.pages("cus-1").await;
    pages.iter().filter(|p| p.kind != Kind::Usage).map(|p| (p.kind, p.amount.steps())).collect()
}

#[tokio::test]
async fn a_deletion_seen_late_is_credited_once() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(6).await;
    app.tell(&[ended("srv-1", app.at(125))]).await;
    app.hours(10).await;
    assert_eq!(kinds(&app).await, [(Kind::Adjustment, 3 * CENT)]);
    assert_eq!(app.balance("cus-1").await, -3 * CENT);
    let page = app.pages("cus-1").await.into_iter().find(|p| p.kind == Kind::Adjustment).unwrap();
    let (server, from, to, secs) = domain::wallet::parse_adjust_reference(page.reference.as_deref().unwrap()).unwrap();
    assert_eq!((server, to.since(from), secs), (id("srv-1"), 3, 0));
    app.verify().await;
}

#[tokio::test]
async fn a_start_seen_late_is_charged_once_with_the_months_next_numbers() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.tell(&[changed("srv-1", "error", app.at(30))]).await;
    app.hours(2).await;
    app.tell(&[changed("srv-1", "running", app.at(240))]).await;
    app.hours(6).await;
    assert_eq!(app.balance("cus-1").await, -5 * CENT);
    // It had been running again since the second hour.
    app.tell(&[changed("srv-1", "running", app.at(70))]).await;
    app.hours(10).await;
    assert_eq!(kinds(&app).await, [(Kind::Adjustment, -3 * CENT)]);
    assert_eq!(app.balance("cus-1").await, -18 * CENT);
    let meter = app.pages("cus-1").await.last().unwrap().meters[0].clone();
    assert_eq!(meter.counter.secs, 18 * 3600);
    app.verify().await;
}

#[tokio::test]
async fn a_late_deletion_that_was_wrong_is_charged_again() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(6).await;
    app.tell(&[ended("srv-1", app.at(125))]).await;
    app.hours(1).await;
    app.tell(&[ended("srv-1", app.at(245))]).await;
    app.hours(12).await;
    assert_eq!(kinds(&app).await, [(Kind::Adjustment, 3 * CENT), (Kind::Adjustment, -2 * CENT)]);
    assert_eq!(app.balance("cus-1").await, -5 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_late_fact_keeps_a_server_open_until_no_job_with_older_facts_can_come() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(3).await;
    app.tell(&[ended("srv-1", app.at(65))]).await;
    let tenure = tenure(&app, "srv-1");
    app.hours(6).await;
    assert!(app.system.store.fleet_get(&tenure).await.unwrap().is_some());
    app.hours(3).await;
    assert!(app.system.store.fleet_get(&tenure).await.unwrap().is_none());
    app.verify().await;
}

#[tokio::test]
async fn facts_that_cannot_be_true_change_nothing() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(60))]).await;
    let refused = app
        .told(&[
            ended("srv-1", app.at(30)),
            changed("srv-1", "stopped", app.at(30)),
            ended("srv-unknown", app.at(90)),
            registered("srv-1", "cus-2", app.at(90)),
        ])
        .await;
    let unknown = |outcome: &FactOutcome| *outcome == FactOutcome::Unknown;
    assert!(
        refused.iter().all(|outcome| matches!(outcome, FactOutcome::Rejected(_)) || unknown(outcome)),
        "{refused:?}"
    );
    assert!(unknown(&refused[2]), "a server that is not known yet is told again later");
    let again = app.told(&[registered("srv-1", "cus-1", app.at(60))]).await;
    assert_eq!(again, [FactOutcome::Unchanged]);
}

#[tokio::test]
async fn a_server_with_very_many_states_is_pruned_below_what_is_billed_and_stays_right() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    for hour in 0..100_i64 {
        app.tell(&[
            changed("srv-1", "stopped", app.at(hour * 60 + 20)),
            changed("srv-1", "running", app.at(hour * 60 + 40)),
        ])
        .await;
        app.hours(1).await;
    }
    let tenure = tenure(&app, "srv-1");
    let fleet = app.system.store.fleet_get(&tenure).await.unwrap().unwrap();
    assert!(fleet.timeline.states().len() < 160 && fleet.known_from > tenure.since);
    assert_eq!(app.balance("cus-1").await, -100 * CENT);
    app.verify().await;
}

fn tenure(app: &TestApp, server: &str) -> Tenure {
    Tenure { server: id(server), since: tests::time(tests::BEGIN).hour(), wallet: app.wallet("cus-1") }
}

#[tokio::test]
async fn states_of_hours_that_are_not_billed_yet_are_never_pruned() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(2).await;
    // 200 hours without a run, every other one of them in a state that costs nothing.
    for hour in (2..202_i64).step_by(2) {
        app.tell(&[changed("srv-1", "error", app.at(hour * 60)), changed("srv-1", "running", app.at(hour * 60 + 60))])
            .await;
        app.pass(2);
    }
    let fleet = app.system.store.fleet_get(&tenure(&app, "srv-1")).await.unwrap().unwrap();
    assert_eq!((fleet.known_from, fleet.timeline.states().len()), (fleet.tenure.since, 201));
    app.bill().await;
    assert_eq!(app.balance("cus-1").await, -(2 + 100) * CENT);
    app.verify().await;
    // With the next change they may go: what is kept is what a late fact may still be about.
    app.tell(&[changed("srv-1", "running", app.time.now())]).await;
    let fleet = app.system.store.fleet_get(&tenure(&app, "srv-1")).await.unwrap().unwrap();
    assert!(fleet.known_from > fleet.tenure.since && fleet.known_from < app.hour());
    app.hours(1).await;
    app.verify().await;
}

#[tokio::test]
async fn a_fact_told_shortly_before_its_hour_ends_is_looked_at_again() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0)), registered("srv-2", "cus-1", app.at(0))]).await;
    // It may be written after metering has read the hour.
    app.pass_secs(3_500);
    app.tell(&[changed("srv-1", "stopped", app.at(10))]).await;
    app.pass_secs(80);
    app.tell(&[changed("srv-2", "stopped", app.at(10))]).await;
    let flag = async |server: &str| {
        app.system.store.fleet_get(&tenure(&app, server)).await.unwrap().unwrap().recheck.map(|recheck| recheck.from)
    };
    assert_eq!((flag("srv-1").await, flag("srv-2").await), (None, Some(app.hour())));
    app.hours(9).await;
    assert_eq!(flag("srv-2").await, None);
    app.verify().await;
}

#[tokio::test]
async fn the_same_hours_may_be_adjusted_back_and_forth() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(5).await;
    for (end, balance) in [(120, -2), (300, -5), (120, -2), (300, -5)] {
        app.tell(&[ended("srv-1", app.at(end))]).await;
        app.hours(1).await;
        assert_eq!(app.balance("cus-1").await, balance * CENT);
    }
    app.hours(8).await;
    assert_eq!(app.balance("cus-1").await, -5 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn states_told_out_of_order_bill_as_if_they_had_come_in_order() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0)), registered("srv-2", "cus-2", app.at(0))]).await;
    let story = |server: &str| [changed(server, "error", app.at(65)), changed(server, "running", app.at(185))];
    app.tell(&story("srv-1")).await;
    let [error, running] = story("srv-2");
    app.tell(&[running]).await;
    app.tell(&[error]).await;
    app.hours(6).await;
    assert_eq!(app.balance("cus-1").await, -5 * CENT);
    assert_eq!(app.balance("cus-2").await, -5 * CENT);
    app.verify().await;
}
