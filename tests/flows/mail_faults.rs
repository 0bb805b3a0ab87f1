//! Mails when things go wrong: whoever sends one may be gone between any two calls, and DynamoDB and the queue fail in every
//! way they can. No mail is lost without a word, and none that is known to be sent is sent again.

use super::mail::{Answer, MailApp, TIME_LEFT, mail};
use lifecycle::Lifecycle;
use providers::Queue;
use skymeter::chaos::{Chaos, ChaosQueue, Rates};
use skymeter::system::event;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use store::MailStatus;
use tests::TestApp;

/// Rounds of the lifecycle function, five minutes apart: longer than all tries of a mail take.
const ROUNDS: usize = 40;

/// Runs a future until it has waited `times` times, then drops it. Whether it was done.
pub async fn cut(work: impl Future<Output = ()>, times: usize) -> bool {
    let mut work = std::pin::pin!(work);
    let mut left = times;
    std::future::poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

impl MailApp {
    /// The lifecycle function and the mailer go on until nothing waits.
    async fn recover(&self) {
        for _ in 0..ROUNDS {
            self.app.pass_secs(301);
            self.lifecycle().mails().await.unwrap();
            self.pump().await;
        }
    }

    fn lifecycle(&self) -> Lifecycle {
        super::lifecycle::lifecycle(&self.app, Arc::new(self.queue.clone()))
    }

    /// How often the service has taken each mail, by its `Message-ID`.
    fn taken_by_mail(&self) -> Vec<usize> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for raw in self.post.taken.lock().unwrap().iter() {
            let text = String::from_utf8_lossy(&raw.bytes).into_owned();
            let line = text.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
            *counts.entry(line).or_default() += 1;
        }
        counts.into_values().collect()
    }
}

#[tokio::test]
async fn a_mailer_that_is_gone_between_any_two_calls_loses_no_mail_without_a_word_and_sends_none_twice() {
    let (mut sent, mut unknown, mut done) = (0, 0, 0);
    // How often it waits depends on how fast it is answered: each place is tried several times.
    for times in (0..12).cycle().take(60) {
        let app = MailApp::new().await;
        app.app.system.store.mail_enqueue(&mail("verify:1"), app.now()).await.unwrap();
        app.queue.send(vec!["verify:1".to_owned()]).await.unwrap();
        let messages = app.queue.receive(1).await.unwrap();
        let work = async { drop(app.mailing.handle_mails(event(&messages), TIME_LEFT).await) };
        done += usize::from(cut(work, times).await);
        app.recover().await;
        assert_eq!(app.waiting().await, 0);
        match app.status("verify:1").await {
            MailStatus::Sent => {
                assert_eq!(app.taken(), 1, "cut after {times}");
                sent += 1;
            }
            // Told, and at most once.
            MailStatus::Unknown => {
                assert!(app.taken() <= 1, "cut after {times}");
                unknown += 1;
            }
            other => panic!("cut after {times}: {other:?}"),
        }
    }
    // It was cut on both sides of the claim, and got through.
    assert!(sent > done && unknown > 0 && done > 0, "sent {sent}, unknown {unknown}, done {done}");
}

#[tokio::test]
async fn whoever_writes_a_mail_and_is_gone_has_written_it_or_not() {
    for times in 0..20 {
        let app = MailApp::new().await;
        let store = &app.app.system.store;
        let work = async { drop(store.mail_enqueue(&mail("verify:1"), app.now()).await) };
        let done = cut(work, times).await;
        app.recover().await;
        let record = store.mail_get("verify:1").await.unwrap();
        assert_eq!(app.taken(), usize::from(record.is_some()), "cut after {times}");
        // Writing it again is the same mail.
        store.mail_enqueue(&mail("verify:1"), app.now()).await.unwrap();
        app.recover().await;
        assert_eq!((app.taken(), app.status("verify:1").await), (1, MailStatus::Sent), "cut after {times}");
        if done {
            return;
        }
    }
    panic!("it never got through");
}

#[tokio::test]
async fn a_lifecycle_that_is_gone_between_any_two_calls_leaves_the_mails_to_the_next() {
    for times in 0..100 {
        let app = MailApp::new().await;
        let store = &app.app.system.store;
        for name in ["verify:1", "verify:2"] {
            store.mail_enqueue(&mail(name), app.now()).await.unwrap();
        }
        // One whose sender is gone, one whose message is lost.
        store.mail_claim("verify:1", "gone", app.now()).await.unwrap();
        app.app.pass_secs(400);
        let lifecycle = app.lifecycle();
        let done = cut(async { drop(lifecycle.mails().await) }, times).await;
        app.recover().await;
        assert_eq!(app.status("verify:1").await, MailStatus::Unknown);
        assert_eq!((app.status("verify:2").await, app.taken(), app.waiting().await), (MailStatus::Sent, 1, 0));
        if done {
            return;
        }
    }
    panic!("it never got through");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_faults_at_once_every_mail_ends_and_none_that_was_sent_is_sent_again() {
    for seed in 0..6 {
        let rates = Rates { unanswered: 60, throttled: 120, conflict: 60, ..Rates::default() };
        let chaos = Arc::new(Chaos::new(seed, rates));
        let app = MailApp::on(TestApp::with(None, Some(chaos.clone())).await);
        let queue = ChaosQueue::new(app.queue.clone(), chaos.clone(), app.app.time.clock());
        let kinds = [Answer::Taken, Answer::Lost, Answer::Taken, Answer::Throttled, Answer::Taken, Answer::Refused];
        app.answers(&kinds.repeat(10));
        let names: Vec<String> = (0..60).map(|n| format!("verify:{n}")).collect();
        for name in &names {
            // The writer tries until it hears yes; what it was not told about is there already.
            while app.app.system.store.mail_enqueue(&mail(name), app.now()).await.is_err() {}
            let _ = queue.send(vec![name.clone()]).await;
        }
        let lifecycle = super::lifecycle::lifecycle(&app.app, Arc::new(queue));
        for _ in 0..80 {
            app.app.pass_secs(301);
            // What fails is tried by the next run.
            let _ = lifecycle.mails().await;
            let messages = app.queue.receive(100).await.unwrap();
            let halves = messages.split_at(messages.len() / 2);
            tokio::join!(
                app.mailing.handle_mails(event(halves.0), TIME_LEFT),
                app.mailing.handle_mails(event(halves.1), TIME_LEFT),
            );
            app.queue.delete(messages.into_iter().map(|message| message.receipt).collect()).await.unwrap();
        }
        chaos.set_quiet(true);
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            let status = app.status(name).await;
            assert!(status.is_final(), "{name}: {status:?}");
            let kind = match status {
                MailStatus::Sent => "sent",
                MailStatus::Unknown => "unknown",
                _ => "failed",
            };
            *ends.entry(kind).or_default() += 1;
        }
        assert_eq!(app.waiting().await, 0);
        assert!(app.taken_by_mail().iter().all(|times| *times == 1), "seed {seed}: sent twice");
        // What is called sent was taken, what is called failed was not.
        let taken = app.taken();
        let (sent, unknown) = (ends["sent"], ends["unknown"]);
        assert!(sent <= taken && taken <= sent + unknown, "seed {seed}: {taken} taken, {ends:?}");
        assert!(sent >= 30, "seed {seed}: {ends:?}");
    }
}
