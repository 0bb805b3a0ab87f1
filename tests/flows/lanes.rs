//! Customers with more servers than one lane holds.

use domain::Unit;
use domain::tenure::WalletId;
use domain::wallet::Page;
use futures::future::join_all;
use std::collections::BTreeMap;
use store::{Fact, FactOutcome, StoreError};
use tests::{CENT, TestApp, ended, id, registered};

async fn head(app: &TestApp, lane: u16) -> Option<Page> {
    head_of(app, "cus-1", lane).await
}

async fn head_of(app: &TestApp, customer: &str, lane: u16) -> Option<Page> {
    let wallet = WalletId { customer: id(customer), unit: Unit::Usd, lane };
    app.system.store.wallet_head(&wallet, true).await.unwrap()
}

fn many(app: &TestApp, customer: &str, servers: usize) -> Vec<Fact> {
    (0..servers).map(|n| registered(&format!("{customer}-{n}"), customer, app.at(1))).collect()
}

#[tokio::test]
async fn a_customer_with_1001_servers_has_three_lanes_and_the_balance_is_their_sum() {
    let app = TestApp::new().await;
    let facts: Vec<_> = (0..1_001).map(|n| registered(&format!("srv-{n}"), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    app.hours(2).await;
    let mut meters = Vec::new();
    let mut sum = 0;
    for lane in 0..3 {
        let page = head(&app, lane).await.unwrap();
        meters.push(page.meters.len());
        sum += page.after.steps();
    }
    assert!(head(&app, 3).await.is_none());
    assert_eq!(meters, [500, 500, 1]);
    assert_eq!(sum, -2 * 1_001 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_lane_is_kept_and_its_places_are_free_once_the_meters_are_gone() {
    let app = TestApp::new().await;
    let name = |n: usize| format!("srv-{n}");
    let facts: Vec<_> = (0..500).map(|n| registered(&name(n), "cus-1", app.at(1))).collect();
    app.tell(&facts).await;
    app.hours(1).await;
    app.tell(&(0..499).map(|n| ended(&name(n), app.at(61))).collect::<Vec<_>>()).await;
    app.hours(1).await;
    // The meters of the ended ones still stand in lane 0.
    app.tell(&[registered("srv-new", "cus-1", app.at(121))]).await;
    app.hours(1).await;
    assert_eq!(head(&app, 1).await.unwrap().meters.len(), 1);
    app.hours(14).await;
    app.tell(&[registered("srv-later", "cus-1", app.at(17 * 60 + 1))]).await;
    app.hours(1).await;
    let servers: Vec<_> = head(&app, 0).await.unwrap().meters.iter().map(|m| m.server.to_string()).collect();
    assert_eq!(servers, ["srv-499", "srv-later"]);
    app.verify().await;
}

#[tokio::test]
async fn a_transfer_assigns_a_lane_of_the_new_owner() {
    let app = TestApp::new().await;
    app.tell(&many(&app, "cus-1", 501)).await;
    app.tell(&many(&app, "cus-full", 500)).await;
    app.tell(&[registered("srv-moves", "cus-1", app.at(1))]).await;
    app.hours(1).await;
    // Both stand in lane 1 of their first owner.
    let servers = |page: &Page| page.meters.iter().map(|m| m.server.to_string()).collect::<Vec<_>>();
    assert_eq!(servers(&head(&app, 1).await.unwrap()).len(), 2);
    let to = |server: &str, customer: &str| Fact::Transferred {
        server: id(server),
        customer: id(customer),
        at: app.time.now(),
    };
    let moved = servers(&head(&app, 1).await.unwrap());
    app.tell(&[to(&moved[0], "cus-empty"), to(&moved[1], "cus-full")]).await;
    app.hours(2).await;
    assert_eq!(servers(&head_of(&app, "cus-empty", 0).await.unwrap()), moved[..1]);
    assert!(head_of(&app, "cus-empty", 1).await.is_none());
    assert_eq!(head_of(&app, "cus-full", 0).await.unwrap().meters.len(), 500);
    assert_eq!(servers(&head_of(&app, "cus-full", 1).await.unwrap()), moved[1..]);
    app.verify().await;
}

/// Tells facts until they are taken, as a panel does.
async fn told_until_taken(app: &TestApp, facts: &[Fact]) {
    loop {
        match app.system.store.fleet_apply(facts, app.time.now()).await {
            Ok(outcomes) => {
                let taken = |outcome: &FactOutcome| matches!(outcome, FactOutcome::Applied | FactOutcome::Unchanged);
                assert!(outcomes.iter().all(taken), "{outcomes:?}");
                return;
            }
            Err(StoreError::Conflict(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn places_are_given_once_however_many_write_at_the_same_time() {
    let app = TestApp::new().await;
    let facts = many(&app, "cus-1", 600);
    let writers: Vec<&[Fact]> = facts.chunks(200).collect();
    join_all(writers.iter().map(|own| told_until_taken(&app, own))).await;
    let (shard, mut start, mut lanes) = (domain::run::shard_of(&id("cus-1")), None, BTreeMap::<u16, usize>::new());
    loop {
        let page = app.system.store.fleet_page(shard, start).await.unwrap();
        for tenure in page.tenures {
            *lanes.entry(tenure.tenure.wallet.lane).or_default() += 1;
        }
        match page.next {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    assert_eq!(lanes, BTreeMap::from([(0, 500), (1, 100)]));
}
