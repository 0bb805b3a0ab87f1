//! Dead letters, and what takes their place.

use super::biller::parked;
use super::broken::Broken;
use metering::Metering;
use providers::Queue;
use std::sync::Arc;
use tests::{CENT, TestApp, registered};

/// A server is due, and its job stands on the queue.
async fn send_a_job(app: &TestApp) {
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.system.pump_shards().await.unwrap();
}

/// Receives a queue's messages until they are dead letters.
async fn let_die(app: &TestApp, queue: &dyn Queue) {
    let mut tries = 0;
    while !queue.receive(10).await.unwrap().is_empty() {
        tries += 1;
        app.pass_secs(721);
    }
    assert_eq!(tries, 5);
}

fn dead_letters(app: &TestApp) -> [usize; 2] {
    [0, 1].map(|queue: usize| app.system.dead[queue].all().unwrap().len())
}

async fn redrive(app: &TestApp) -> metering::Redriven {
    let [shards, jobs] = &app.system.dead;
    app.system.metering.redrive(&[shards, jobs]).await.unwrap()
}

#[tokio::test]
async fn redriving_issues_fresh_jobs_even_long_after_the_dead_ones_have_expired() {
    let app = TestApp::new().await;
    send_a_job(&app).await;
    let_die(&app, &app.system.jobs).await;
    assert_eq!(dead_letters(&app), [0, 1]);
    // Put back as it stands it would be dropped unbilled: it is valid for six hours.
    app.pass(8);
    let done = redrive(&app).await;
    assert_eq!((done.through, done.replaced, done.unreadable), (Some(app.hour()), 1, 0));
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(dead_letters(&app), [0, 0]);
    assert_eq!(app.balance("cus-1").await, -10 * CENT);
    app.verify().await;
    // Nothing is left to do: no run is opened.
    assert_eq!(redrive(&app).await, metering::Redriven::default());
    assert!(app.system.shards.all().unwrap().is_empty());
}

#[tokio::test]
async fn shard_messages_are_redriven_too_and_what_nobody_can_read_is_parked() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    app.tell(&[registered("srv-1", "cus-1", app.at(1))]).await;
    app.pass(1);
    app.system.shards.send(vec!["?".to_owned()]).await.unwrap();
    app.system.shards.send(vec![format!("{{\"through\":{},\"shard\":3}}", app.hour().number())]).await.unwrap();
    let_die(&app, &app.system.shards).await;
    assert_eq!(dead_letters(&app), [2, 0]);
    let done = redrive(&app).await;
    assert_eq!((done.replaced, done.unreadable), (1, 1));
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!((dead_letters(&app), app.balance("cus-1").await), ([0, 0], -2 * CENT));
    assert_eq!(parked(&app).iter().map(|parked| parked.job.as_str()).collect::<Vec<_>>(), ["?"]);
    app.verify().await;
}

#[tokio::test]
async fn a_redrive_that_is_cut_off_leaves_the_letters_and_is_done_again() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    send_a_job(&app).await;
    let_die(&app, &app.system.jobs).await;
    // Killed after the run was opened and before the letter was deleted: it is only hidden for a while.
    assert_eq!(app.system.dead[1].receive(10).await.unwrap().len(), 1);
    app.system.metering.open_run(app.time.now()).await.unwrap();
    app.pass_secs(721);
    assert_eq!(redrive(&app).await.replaced, 1);
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(app.balance("cus-1").await, -2 * CENT);
    app.verify().await;
}

#[tokio::test]
async fn a_letter_stays_until_what_takes_its_place_is_on_its_queue() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    send_a_job(&app).await;
    app.system.jobs.send(vec!["?".to_owned()]).await.unwrap();
    let_die(&app, &app.system.jobs).await;
    assert_eq!(dead_letters(&app), [0, 2]);
    let [_, dead] = &app.system.dead;
    // Neither the run's messages nor the one nobody can read get through.
    let shards = Metering { shards: Arc::new(Broken::Refuses), ..app.system.metering.clone() };
    let jobs = Metering { jobs: Arc::new(Broken::Refuses), ..app.system.metering.clone() };
    for metering in [shards, jobs] {
        assert!(metering.redrive(&[dead]).await.is_err());
        app.pass_secs(721);
        assert_eq!(dead_letters(&app), [0, 2]);
    }
    let done = redrive(&app).await;
    assert_eq!((done.replaced, done.unreadable, dead_letters(&app)), (1, 1, [0, 0]));
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(app.balance("cus-1").await, -2 * CENT);
    app.verify().await;
}
