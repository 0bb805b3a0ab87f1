//! Customers with more servers than one lane holds.

use domain::Unit;
use domain::tenure::WalletId;
use tests::{CENT, TestApp, ended, id, registered};

async fn head(app: &TestApp, lane: u16) -> Option<domain::wallet::Page> {
    let wallet = WalletId { customer: id("cus-1"), unit: Unit::Usd, lane };
    app.system.store.wallet_head(&wallet, true).await.unwrap()
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
