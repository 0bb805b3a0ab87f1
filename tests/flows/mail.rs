//! Mails: written once, sent once, to those who want them.

mod feedback;
mod outbox;

use async_trait::async_trait;
use aws_lambda_events::sqs::SqsBatchResponse;
use domain::Timestamp;
use domain::mail::{Template, address_hash};
use mailer::{MailConfig, Mailing};
use providers::{MailError, MailFailure, Mailer, MessageId, Queue, RawMail};
use serde_json::json;
use skymeter::mailbox::Mailbox;
use skymeter::queue::{EmbeddedQueue, QueueFile};
use skymeter::system::event;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Enqueued, MAX_TRIES, MailRecord, MailStatus, OutboxMail};
use tests::{TestApp, id};

/// Time of one invocation.
pub const TIME_LEFT: Duration = Duration::from_secs(60);
/// Where all mails here go.
pub const ANN: &str = "ann@example.com";

/// How the mail service answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// Taken.
    Taken,
    /// Clearly not sent.
    Throttled,
    /// Never.
    Refused,
    /// Taken, but the answer is lost.
    Lost,
    /// Taken, and it never answers.
    Hangs,
}

/// The mail service. Takes everything, but for the answers it is told to give first.
#[derive(Debug, Default)]
pub struct Post {
    /// What it has taken.
    pub taken: Mutex<Vec<RawMail>>,
    /// How it answers, in this order.
    pub answers: Mutex<VecDeque<Answer>>,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: RawMail) -> Result<MessageId, MailError> {
        // As over a network: others run meanwhile, and a sender may be gone before and after.
        tokio::task::yield_now().await;
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Taken);
        if matches!(answer, Answer::Taken | Answer::Lost | Answer::Hangs) {
            self.taken.lock().unwrap().push(mail);
        }
        tokio::task::yield_now().await;
        match answer {
            Answer::Taken => Ok(MessageId("ses-1".to_owned())),
            Answer::Throttled => Err(MailError::new(MailFailure::NotSent, "throttled")),
            Answer::Refused => Err(MailError::new(MailFailure::Refused, "refused")),
            Answer::Lost => Err(MailError::new(MailFailure::Unknown, "no answer")),
            Answer::Hangs => std::future::pending().await,
        }
    }
}

/// The mailer with its queue, and a mail service that can be told what to do.
pub struct MailApp {
    pub app: TestApp,
    pub post: Arc<Post>,
    pub mailing: Mailing,
    pub queue: EmbeddedQueue,
}

pub fn config() -> MailConfig {
    let config = MailConfig {
        from: "billing@skymeter.example".to_owned(),
        product: "Skymeter".to_owned(),
        frontend_url: "https://app.skymeter.example".to_owned(),
        support: "help@skymeter.example".to_owned(),
    };
    config.checked().unwrap()
}

/// A mail to Ann.
pub fn mail(name: &str) -> OutboxMail {
    OutboxMail::to_address(name, ANN, Template::Verify).with("token", "secret-token").with("valid_for", "24 hours")
}

impl MailApp {
    pub async fn new() -> Self {
        Self::on(TestApp::new().await)
    }

    pub fn on(app: TestApp) -> Self {
        let post = Arc::new(Post::default());
        let mailing = Mailing::new(app.system.store.clone(), post.clone(), config(), app.time.clock()).unwrap();
        let queue = QueueFile::open(None, app.time.clock()).unwrap().queue("mails");
        Self { app, post, mailing, queue }
    }

    pub fn now(&self) -> Timestamp {
        self.app.time.now()
    }

    /// Writes a mail and sends its id to the queue.
    pub async fn enqueue(&self, mail: &OutboxMail) -> Enqueued {
        let enqueued = self.app.system.store.mail_enqueue(mail, self.now()).await.unwrap();
        self.queue.send(vec![mail.id.clone()]).await.unwrap();
        enqueued
    }

    /// Handles what waits in the queue. All of it must be done.
    pub async fn pump(&self) {
        loop {
            let messages = self.queue.receive(10).await.unwrap();
            if messages.is_empty() {
                return;
            }
            let response = self.mailing.handle_mails(event(&messages), TIME_LEFT).await;
            assert_eq!(failed(&response), Vec::<String>::new());
            self.queue.delete(messages.into_iter().map(|message| message.receipt).collect()).await.unwrap();
        }
    }

    pub async fn record(&self, mail: &str) -> MailRecord {
        self.app.system.store.mail_get(mail).await.unwrap().expect("it is in the outbox")
    }

    pub async fn status(&self, mail: &str) -> MailStatus {
        self.record(mail).await.status
    }

    /// How many mails the service has taken.
    pub fn taken(&self) -> usize {
        self.post.taken.lock().unwrap().len()
    }

    pub fn answers(&self, answers: &[Answer]) {
        self.post.answers.lock().unwrap().extend(answers);
    }

    /// Pointers in the outbox, also those that are not due.
    pub async fn waiting(&self) -> usize {
        self.app.system.store.mail_waiting(self.now().plus_secs(86_400), 1_000).await.unwrap().len()
    }
}

fn failed(response: &SqsBatchResponse) -> Vec<String> {
    response.batch_item_failures.iter().map(|failure| failure.item_identifier.clone()).collect()
}

#[tokio::test]
async fn a_mail_is_written_once_and_sent_once_and_then_forgets_what_it_said() {
    let app = MailApp::new().await;
    assert_eq!(app.enqueue(&mail("verify:usr_1:abc")).await, Enqueued::New);
    assert_eq!(app.enqueue(&mail("verify:usr_1:abc")).await, Enqueued::Already);
    // What is there first, stays.
    let other = OutboxMail::to_address("verify:usr_1:abc", "eve@example.com", Template::Welcome);
    assert_eq!(app.enqueue(&other).await, Enqueued::Already);
    app.pump().await;
    assert_eq!(app.taken(), 1);
    let record = app.record("verify:usr_1:abc").await;
    assert_eq!((record.status, record.message_id.as_deref()), (MailStatus::Sent, Some("ses-1")));
    assert_eq!((record.mail.to, record.mail.params.len(), record.finished_at), (None, 0, Some(app.now())));
    assert_eq!(app.waiting().await, 0);
    // Nothing of it is left in the raw item either, and it expires.
    let get = app.app.system.store.client().get_item().table_name(&app.app.system.store.tables().main);
    let value = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item =
        get.key("pk", value("MAIL#verify:usr_1:abc")).key("sk", value("MAIL")).send().await.unwrap().item.unwrap();
    assert!(!format!("{item:?}").contains("secret-token") && !format!("{item:?}").contains(ANN));
    let expiry = item["ttl"].as_n().unwrap().parse::<i64>().unwrap();
    assert_eq!(expiry, app.now().plus_secs(90 * 86_400).secs());
    // Later messages about it do nothing.
    app.queue.send(vec!["verify:usr_1:abc".to_owned(); 3]).await.unwrap();
    app.pump().await;
    assert_eq!(app.taken(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mail_ten_messages_and_ten_mailers_at_once_is_sent_once() {
    let app = MailApp::new().await;
    for round in 0..10 {
        let name = format!("verify:{round}");
        app.app.system.store.mail_enqueue(&mail(&name), app.now()).await.unwrap();
        let messages = (0..10).map(|_| json!({ "messageId": "m", "body": name, "eventSource": "aws:sqs" }));
        let event = json!({ "Records": messages.collect::<Vec<_>>() });
        let all = (0..10).map(|_| {
            let (mailing, event) = (app.mailing.clone(), event.clone());
            tokio::spawn(async move { mailing.handle(event, TIME_LEFT).await.unwrap() })
        });
        for answer in futures::future::join_all(all).await {
            assert_eq!(answer.unwrap(), json!({ "batchItemFailures": [] }));
        }
        assert_eq!((app.taken(), app.status(&name).await), (round + 1, MailStatus::Sent));
    }
}

#[tokio::test]
async fn a_mail_goes_to_the_address_its_user_has_when_it_is_sent_and_to_nobody_once_they_are_gone() {
    let app = MailApp::new().await;
    let nobody = OutboxMail::to_user("welcome:usr_gone", &id("usr_gone"), Template::Welcome);
    app.enqueue(&nobody).await;
    app.pump().await;
    let record = app.record("welcome:usr_gone").await;
    assert_eq!((record.status, record.reason.as_deref()), (MailStatus::Failed, Some("the user has no address")));
    assert_eq!((app.taken(), app.waiting().await), (0, 0));
}

#[tokio::test]
async fn what_was_clearly_not_sent_is_tried_five_times_within_hours_and_then_failed() {
    let app = MailApp::new().await;
    app.answers(&[Answer::Throttled; 20]);
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    let mut tries = vec![app.now()];
    let begun = app.now();
    for _ in 0..400 {
        let before = app.record("verify:1").await.tries;
        app.app.pass_secs(60);
        app.queue.send(vec!["verify:1".to_owned(); 2]).await.unwrap();
        app.pump().await;
        if app.record("verify:1").await.tries > before {
            tries.push(app.now());
        }
    }
    let minutes: Vec<i64> = tries.iter().map(|at| at.since(begun) / 60).collect();
    assert_eq!(minutes, [0, 1, 5, 25, 85]);
    let record = app.record("verify:1").await;
    assert_eq!((record.tries, record.status), (MAX_TRIES, MailStatus::Failed));
    assert_eq!((record.reason.as_deref(), record.mail.params.len()), (Some("throttled"), 0));
    assert_eq!((app.taken(), app.waiting().await), (0, 0));
}

#[tokio::test]
async fn a_service_that_comes_back_sends_what_waited() {
    let app = MailApp::new().await;
    app.answers(&[Answer::Throttled, Answer::Throttled]);
    app.enqueue(&mail("verify:1")).await;
    for _ in 0..3 {
        app.pump().await;
        app.app.pass_secs(300);
        let due = app.app.system.store.mail_waiting(app.now(), 10).await.unwrap();
        app.queue.send(due.into_iter().map(|record| record.mail.id).collect()).await.unwrap();
    }
    assert_eq!((app.taken(), app.status("verify:1").await), (1, MailStatus::Sent));
}

#[tokio::test]
async fn refused_is_final() {
    let app = MailApp::new().await;
    app.answers(&[Answer::Refused]);
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    assert_eq!((app.status("verify:1").await, app.waiting().await), (MailStatus::Failed, 0));
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    assert_eq!((app.taken(), app.record("verify:1").await.tries), (0, 1));
}

#[tokio::test]
async fn a_lost_answer_makes_a_mail_unknown_and_it_is_never_sent_again() {
    let app = MailApp::new().await;
    app.answers(&[Answer::Lost]);
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    let record = app.record("verify:1").await;
    assert_eq!((record.status, record.reason.as_deref()), (MailStatus::Unknown, Some("no answer")));
    assert_eq!((record.mail.to, record.mail.params.len()), (None, 0));
    for _ in 0..3 {
        app.app.pass_secs(3_600);
        app.enqueue(&mail("verify:1")).await;
        app.pump().await;
    }
    assert_eq!((app.taken(), app.waiting().await), (1, 0));
}

#[tokio::test]
async fn a_service_that_hangs_does_not_hold_the_mailer_and_counts_as_unknown() {
    let app = MailApp::new().await;
    app.answers(&[Answer::Hangs]);
    app.enqueue(&mail("verify:1")).await;
    let wind = async {
        while app.taken() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(13)).await;
        tokio::time::resume();
    };
    tokio::join!(app.pump(), wind);
    assert_eq!((app.taken(), app.status("verify:1").await), (1, MailStatus::Unknown));
}

#[tokio::test]
async fn a_mail_is_not_begun_when_there_is_no_time_for_it() {
    let app = MailApp::new().await;
    app.enqueue(&mail("verify:1")).await;
    let messages = app.queue.receive(10).await.unwrap();
    let response = app.mailing.handle_mails(event(&messages), Duration::from_secs(20)).await;
    assert_eq!(failed(&response), [messages[0].id.clone()]);
    assert_eq!((app.taken(), app.record("verify:1").await.tries), (0, 0));
}

#[tokio::test]
async fn messages_about_no_mail_are_done_and_events_of_others_are_refused() {
    let app = MailApp::new().await;
    app.queue
        .send(vec!["no-such-mail".to_owned(), String::new(), "{\"a\":1}".to_owned(), "x".repeat(300)])
        .await
        .unwrap();
    app.pump().await;
    assert_eq!(app.taken(), 0);
    for event in
        [json!(null), json!({}), json!({ "Records": "all" }), json!({ "Records": [{ "EventSource": "aws:sns" }] })]
    {
        assert!(app.mailing.handle(event.clone(), TIME_LEFT).await.is_err(), "{event}");
    }
}

#[tokio::test]
async fn the_mailbox_of_a_laptop_shows_a_mail_with_a_link_to_click() {
    let app = MailApp::new().await;
    let mailbox = Mailbox::open(None).unwrap();
    let (store, clock) = (app.app.system.store.clone(), app.app.time.clock());
    let mailing = Mailing::new(store, Arc::new(mailbox.clone()), config(), clock).unwrap();
    app.app.system.store.mail_enqueue(&mail("verify:1"), app.now()).await.unwrap();
    let event = json!({ "Records": [{ "messageId": "m", "body": "verify:1", "eventSource": "aws:sqs" }] });
    mailing.handle(event, TIME_LEFT).await.unwrap();
    let shown = mailbox.newest_to(ANN).unwrap();
    assert_eq!(shown.subject, "Confirm your address for Skymeter");
    assert_eq!(shown.links()[0], "https://app.skymeter.example/verify-email?token=secret-token");
    assert!(shown.html.contains("href=\"https:&#x2f;&#x2f;app.skymeter.example"), "{}", shown.html);
}

fn sample(name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(tests::root().join("events").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_samples_go_through_their_handlers() {
    let app = MailApp::new().await;
    let mails = sample("mailer-mails.json");
    let names = ["/Records/0/body", "/Records/1/body"].map(|place| mails.pointer(place).unwrap().as_str().unwrap());
    for name in names {
        app.app.system.store.mail_enqueue(&mail(name), app.now()).await.unwrap();
    }
    assert_eq!(app.mailing.handle(mails.clone(), TIME_LEFT).await.unwrap(), json!({ "batchItemFailures": [] }));
    for name in names {
        assert_eq!(app.status(name).await, MailStatus::Sent);
    }
    app.mailing.handle(sample("mailer-bounce.json"), TIME_LEFT).await.unwrap();
    assert!(app.app.system.store.is_suppressed(&address_hash("nobody@example.com")).await.unwrap());
    let figures = super::lifecycle::plain(&app.app).handle(sample("lifecycle-schedule.json")).await.unwrap();
    assert!(figures.is_complete());
}
