//! The outbox by itself: what it takes, whose a claim is, what waits.

use super::{MailApp, mail};
use domain::mail::Template;
use store::{Claim, LEASE_SECS, MailRecord, MailStatus, OutboxMail, Outcome, StoreError};

#[tokio::test]
async fn what_could_never_be_sent_is_refused_before_it_is_written() {
    let app = MailApp::new().await;
    let good = mail("verify:1");
    let wrong = [
        OutboxMail { id: String::new(), ..good.clone() },
        OutboxMail { id: "x".repeat(201), ..good.clone() },
        OutboxMail { id: "a b".to_owned(), ..good.clone() },
        OutboxMail { id: "ä".to_owned(), ..good.clone() },
        OutboxMail { to: None, ..good.clone() },
        OutboxMail { to: Some("ann".to_owned()), ..good.clone() },
        OutboxMail { to: Some("a@b.example,c@d.example".to_owned()), ..good.clone() },
        OutboxMail { to: Some("a@b.example\r\nBcc: c@d.example".to_owned()), ..good.clone() },
        OutboxMail { to: Some(format!("{}@b.example", "a".repeat(254))), ..good.clone() },
        OutboxMail { template: Template::Receipt, ..good.clone() },
        good.clone().with("html", "<b>"),
        good.clone().with("name", "x".repeat(20_000)),
    ];
    for mail in wrong {
        let error = app.app.system.store.mail_enqueue(&mail, app.now()).await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{mail:?}: {error}");
        assert!(!error.to_string().contains("secret-token"));
    }
    assert_eq!(app.waiting().await, 0);
}

#[tokio::test]
async fn a_claim_belongs_to_one_and_what_it_learns_late_still_counts() {
    let app = MailApp::new().await;
    let store = &app.app.system.store;
    store.mail_enqueue(&mail("verify:1"), app.now()).await.unwrap();
    assert_eq!(store.mail_claim("nothing", "a", app.now()).await.unwrap(), Claim::Missing);
    assert!(matches!(store.mail_claim("verify:1", "a", app.now()).await.unwrap(), Claim::Send(_)));
    // The same try asks again: its answer was lost.
    assert!(matches!(store.mail_claim("verify:1", "a", app.now()).await.unwrap(), Claim::Send(_)));
    assert_eq!(store.mail_claim("verify:1", "b", app.now()).await.unwrap(), Claim::InFlight);
    let sent = Outcome::Sent("ses-1".to_owned());
    assert_eq!(store.mail_settle("verify:1", "b", &sent, app.now()).await.unwrap(), None);
    // It is given up when its claim has run out, not before.
    let lease = app.now().plus_secs(LEASE_SECS);
    assert_eq!(store.mail_expire("verify:1", lease).await.unwrap(), None);
    assert_eq!(store.mail_expire("verify:1", lease.plus_secs(1)).await.unwrap(), Some(MailStatus::Unknown));
    assert_eq!(store.mail_claim("verify:1", "b", lease).await.unwrap(), Claim::Done(MailStatus::Unknown));
    // Then its holder turns out to have sent it.
    assert_eq!(store.mail_settle("verify:1", "a", &sent, lease).await.unwrap(), Some(MailStatus::Sent));
    assert_eq!(store.mail_settle("verify:1", "a", &Outcome::NotSent("x".to_owned()), lease).await.unwrap(), None);
    assert_eq!((app.status("verify:1").await, app.waiting().await), (MailStatus::Sent, 0));
}

#[tokio::test]
async fn what_waits_is_found_oldest_first_and_a_pointer_to_nothing_goes() {
    let app = MailApp::new().await;
    let store = &app.app.system.store;
    for n in (0..30).rev() {
        store.mail_enqueue(&mail(&format!("verify:{n:02}")), app.now()).await.unwrap();
        app.app.pass_secs(1);
    }
    assert_eq!(store.mail_waiting(app.now(), 100).await.unwrap().len(), 0);
    app.app.pass_secs(60);
    let names = |records: Vec<MailRecord>| records.into_iter().map(|record| record.mail.id).collect::<Vec<_>>();
    assert_eq!(names(store.mail_waiting(app.now(), 2).await.unwrap()), ["verify:29", "verify:28"]);
    assert_eq!(store.mail_waiting(app.now(), 100).await.unwrap().len(), 30);
    let value = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let delete = store.client().delete_item().table_name(&store.tables().main);
    delete.key("pk", value("MAIL#verify:29")).key("sk", value("MAIL")).send().await.unwrap();
    assert_eq!(names(store.mail_waiting(app.now(), 1).await.unwrap()), Vec::<String>::new());
    assert_eq!(names(store.mail_waiting(app.now(), 1).await.unwrap()), ["verify:28"]);
}
