//! The end of a server: its last hour, its meter, its place in the registry.

use super::biller::{LONG, biller, failures, messages};
use super::broken::Refusing;
use domain::plan::Metering;
use domain::run::shard_of;
use domain::timeline::State;
use skymeter::chaos::{Chaos, Rates};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::Closing;
use tests::{CENT, TestApp, changed, ended, id, plan, registered};

async fn open_tenures(app: &TestApp, customer: &str) -> usize {
    app.system.store.fleet_page(shard_of(&id(customer)), None).await.unwrap().tenures.len()
}

#[tokio::test]
async fn an_ended_server_is_billed_its_last_hour_and_closed() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(10))]).await;
    app.hours(2).await;
    app.tell(&[ended("srv-1", app.at(130))]).await;
    app.hours(3).await;
    assert_eq!(app.balance("cus-1").await, -3 * CENT);
    assert_eq!(open_tenures(&app, "cus-1").await, 0);
    app.verify().await;
}

#[tokio::test]
async fn a_server_is_closed_also_where_the_fold_was_a_no_op() {
    let app = TestApp::new().await;
    let provisioning = State::new("provisioning").unwrap();
    let fact = domain_fact_in(&app, provisioning);
    app.tell(&[fact]).await;
    app.tell(&[ended("srv-1", app.at(30))]).await;
    app.hours(1).await;
    assert!(app.pages("cus-1").await.is_empty());
    assert_eq!(open_tenures(&app, "cus-1").await, 0);
    app.verify().await;
}

fn domain_fact_in(app: &TestApp, state: State) -> store::Fact {
    match registered("srv-1", "cus-1", app.at(0)) {
        store::Fact::Registered { server, customer, unit, plan, at, .. } => {
            store::Fact::Registered { server, customer, unit, plan, at, state }
        }
        other => other,
    }
}

#[tokio::test]
async fn only_an_ended_servers_meter_is_dropped_and_only_after_twelve_hours() {
    let app = TestApp::new().await;
    let mut running_only = plan("running-only", "7.30", Metering::Hourly);
    running_only.versions[0].terms.billable_states = Some(BTreeSet::from([State::running()]));
    app.system.store.plan_put(&running_only).await.unwrap();
    let mut stopped = registered("srv-stopped", "cus-1", app.at(0));
    if let store::Fact::Registered { plan, .. } = &mut stopped {
        *plan = id("running-only");
    }
    app.tell(&[registered("srv-ended", "cus-1", app.at(0)), registered("srv-live", "cus-1", app.at(0)), stopped]).await;
    app.tell(&[ended("srv-ended", app.at(5)), changed("srv-stopped", "stopped", app.at(6))]).await;
    let servers = |page: &domain::wallet::Page| page.meters.iter().map(|m| m.server.to_string()).collect::<Vec<_>>();
    app.hours(12).await;
    let kept = app.pages("cus-1").await;
    assert_eq!(servers(kept.last().unwrap()), ["srv-ended", "srv-live", "srv-stopped"]);
    app.hours(2).await;
    let pages = app.pages("cus-1").await;
    assert_eq!(servers(pages.last().unwrap()), ["srv-live", "srv-stopped"]);
    app.verify().await;
}

#[tokio::test]
async fn a_server_that_never_ran_costs_no_page_and_no_reading_back() {
    let app = TestApp::new().await;
    app.tell(&[domain_fact_in(&app, State::new("error").unwrap())]).await;
    app.hours(20).await;
    let reads = app.system.store.capacity().units(store::Area::Ledger).reads;
    app.hours(1).await;
    assert_eq!(app.system.store.capacity().units(store::Area::Ledger).reads, reads + 1);
    assert!(app.pages("cus-1").await.is_empty());
}

#[tokio::test]
async fn billing_a_server_registered_long_ago_reads_the_chain_back_and_doubles_nothing() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-old", "cus-1", app.at(0)), registered("srv-live", "cus-1", app.at(0))]).await;
    app.tell(&[ended("srv-old", app.at(10))]).await;
    app.hours(14).await;
    assert!(app.pages("cus-1").await.last().unwrap().meters.iter().all(|m| m.server != id("srv-old")));
    // The end turns out to be later: the tenure is open again, its meter long dropped.
    app.tell(&[ended("srv-old", app.at(130))]).await;
    app.hours(9).await;
    assert_eq!(app.balance("cus-1").await, -(23 + 3) * CENT);
    assert_eq!(open_tenures(&app, "cus-1").await, 1);
    app.verify().await;
}

#[tokio::test]
async fn the_same_id_registered_again_in_the_same_hour_pays_the_hour_once() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.tell(&[ended("srv-1", app.at(20))]).await;
    app.tell(&[registered("srv-1", "cus-2", app.at(40))]).await;
    app.hours(2).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-CENT, -CENT));
    app.verify().await;
}

#[tokio::test]
async fn where_closing_fails_the_message_comes_again_and_closes_then_although_the_fold_is_a_no_op() {
    let failing = Arc::new(AtomicBool::new(true));
    let chaos =
        Chaos::tampered(1, Rates::NONE, Box::new(Refusing("TransactWriteItems", "TENURE#", Arc::clone(&failing))));
    let app = TestApp::with(None, Some(Arc::new(chaos))).await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.tell(&[ended("srv-1", app.at(5))]).await;
    app.hours(1).await;
    assert_eq!((app.balance("cus-1").await, open_tenures(&app, "cus-1").await), (-CENT, 1));
    assert_eq!(app.system.jobs.all().unwrap().len(), 1);
    failing.store(false, Ordering::Relaxed);
    app.pass_secs(31);
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!((app.pages("cus-1").await.len(), open_tenures(&app, "cus-1").await), (1, 0));
    assert!(app.system.jobs.all().unwrap().is_empty());
    app.verify().await;
}

#[tokio::test]
async fn a_job_that_does_not_know_of_a_later_end_closes_nothing() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.tell(&[ended("srv-1", app.at(5))]).await;
    app.pass(1);
    let old = messages(&app).await;
    // It turns out to live on, until the fourth hour.
    app.tell(&[ended("srv-1", app.at(185))]).await;
    assert!(failures(&biller(&app), &old, LONG).await.is_empty());
    assert_eq!((app.balance("cus-1").await, open_tenures(&app, "cus-1").await), (-CENT, 1));
    app.hours(12).await;
    assert_eq!((app.balance("cus-1").await, open_tenures(&app, "cus-1").await), (-4 * CENT, 0));
    app.verify().await;
}

#[tokio::test]
async fn a_tenure_is_closed_only_as_it_was_when_the_job_was_made() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.tell(&[ended("srv-1", app.at(5))]).await;
    let shard = shard_of(&id("cus-1"));
    let old = app.system.store.fleet_page(shard, None).await.unwrap().tenures.remove(0);
    // Not a late fact, which would keep it open by itself.
    app.tell(&[changed("srv-1", "stopped", app.at(2))]).await;
    let now = app.system.store.fleet_page(shard, None).await.unwrap().tenures.remove(0);
    assert_eq!(now.recheck, None);
    for (rev, open) in [(old.rev, 1), (now.rev, 0)] {
        let closing = Closing { tenure: old.tenure.clone(), rev };
        app.system.store.fleet_close(&[closing], app.time.now()).await.unwrap();
        assert_eq!(open_tenures(&app, "cus-1").await, open);
    }
}
