//! A server changes hands: the old owner pays the hour of the transfer.

use store::{Fact, FactOutcome};
use tests::{CENT, TestApp, changed, ended, id, registered};

fn transferred(app: &TestApp, server: &str, customer: &str) -> Fact {
    Fact::Transferred { server: id(server), customer: id(customer), at: app.time.now() }
}

#[tokio::test]
async fn the_old_owner_pays_the_hour_of_the_transfer_and_the_new_one_the_next() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(2).await;
    app.pass_secs(1_200);
    app.tell(&[transferred(&app, "srv-1", "cus-2")]).await;
    assert_eq!(app.told(&[transferred(&app, "srv-1", "cus-2")]).await, [FactOutcome::Unchanged]);
    app.hours(4).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-3 * CENT, -3 * CENT));
    app.verify().await;
}

#[tokio::test]
async fn a_server_that_ends_before_the_transfer_was_never_the_new_owners() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(2).await;
    app.pass_secs(600);
    app.tell(&[transferred(&app, "srv-1", "cus-2"), ended("srv-1", app.at(140))]).await;
    app.hours(4).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-3 * CENT, 0));
    app.verify().await;
}

#[tokio::test]
async fn a_state_told_between_a_transfer_and_its_hour_goes_with_the_server() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(1).await;
    app.pass_secs(600);
    app.tell(&[transferred(&app, "srv-1", "cus-2")]).await;
    app.pass_secs(600);
    app.tell(&[changed("srv-1", "error", app.at(80))]).await;
    app.hours(3).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-2 * CENT, 0));
    app.verify().await;
}

#[tokio::test]
async fn a_server_that_comes_back_counts_its_month_anew() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.hours(2).await;
    app.pass_secs(60);
    app.tell(&[transferred(&app, "srv-1", "cus-2")]).await;
    app.hours(2).await;
    app.pass_secs(60);
    app.tell(&[transferred(&app, "srv-1", "cus-1")]).await;
    app.hours(3).await;
    let page = app.pages("cus-1").await.pop().unwrap();
    assert_eq!(page.meters.iter().map(|m| m.counter.secs / 3600).collect::<Vec<_>>(), [3, 2]);
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-5 * CENT, -2 * CENT));
    app.verify().await;
}

#[tokio::test]
async fn a_transfer_that_is_told_again_later_does_not_move_the_server_back() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.pass_secs(600);
    let first = transferred(&app, "srv-1", "cus-2");
    app.tell(std::slice::from_ref(&first)).await;
    app.hours(1).await;
    app.pass_secs(600);
    app.tell(&[transferred(&app, "srv-1", "cus-1")]).await;
    assert_eq!(app.told(&[first]).await, [FactOutcome::Unchanged]);
    app.hours(3).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-3 * CENT, -CENT));
    app.verify().await;
}

#[tokio::test]
async fn an_end_before_the_transfer_that_is_told_late_is_credited_to_the_new_owner() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-1", "cus-1", app.at(0))]).await;
    app.pass_secs(600);
    app.tell(&[transferred(&app, "srv-1", "cus-2")]).await;
    app.hours(4).await;
    assert_eq!(app.balance("cus-2").await, -3 * CENT);
    app.tell(&[ended("srv-1", app.at(40))]).await;
    app.hours(9).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-CENT, 0));
    app.verify().await;
}

#[tokio::test]
async fn a_new_server_can_be_registered_and_transferred_in_one_go() {
    let app = TestApp::new().await;
    app.tell(&[registered("srv-other", "cus-2", app.at(0))]).await;
    let both = [registered("srv-1", "cus-1", app.at(0)), transferred(&app, "srv-1", "cus-2")];
    app.pass_secs(60);
    app.tell(&both).await;
    app.hours(2).await;
    assert_eq!((app.balance("cus-1").await, app.balance("cus-2").await), (-CENT, -3 * CENT));
    app.verify().await;
}
