//! What SES tells of mails that were sent.

use super::{ANN, MailApp, TIME_LEFT, mail};
use domain::mail::{Template, address_hash};
use serde_json::json;
use skymeter::commands::mail::lift;
use store::{AuditFilter, MailStatus, OutboxMail};

/// What SNS hands to Lambda.
fn notification(message: &str) -> serde_json::Value {
    json!({ "Records": [{
        "EventSource": "aws:sns", "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:skymeter-dev-feedback:1",
        "Sns": {
            "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:skymeter-dev-feedback",
            "Subject": null, "Message": message, "Timestamp": "2026-11-10T00:00:00.000Z", "SignatureVersion": "1",
            "Signature": "x", "SigningCertUrl": "https://sns.example/x.pem", "UnsubscribeUrl": "https://sns.example/u",
            "MessageAttributes": {}
        }
    }] })
}

fn bounce(kind: &str, address: &str) -> String {
    let recipients = [json!({ "emailAddress": address, "status": "5.1.1" })];
    json!({ "notificationType": "Bounce", "bounce": { "bounceType": kind, "bouncedRecipients": recipients } })
        .to_string()
}

#[tokio::test]
async fn an_address_that_bounced_for_good_or_whose_owner_complained_gets_no_more_mail() {
    let app = MailApp::new().await;
    let tell = |message: String| {
        let app = &app;
        async move { app.mailing.handle(notification(&message), TIME_LEFT).await.unwrap() }
    };
    // A full mailbox is not for good.
    tell(bounce("Transient", ANN)).await;
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    assert_eq!(app.status("verify:1").await, MailStatus::Sent);
    tell(bounce("Permanent", "\"Ann\" <ANN@example.com>")).await;
    tell(bounce("Permanent", ANN)).await;
    app.enqueue(&mail("verify:2")).await;
    app.pump().await;
    assert_eq!((app.status("verify:2").await, app.taken()), (MailStatus::Suppressed, 1));
    let complaint = json!({ "eventType": "Complaint", "complaint": {
        "complainedRecipients": [{ "emailAddress": "bob@example.com" }], "complaintFeedbackType": "abuse" } });
    tell(complaint.to_string()).await;
    app.enqueue(&OutboxMail::to_address("welcome:bob", "Bob@Example.com", Template::Welcome)).await;
    app.enqueue(&OutboxMail::to_address("welcome:eve", "eve@example.com", Template::Welcome)).await;
    app.pump().await;
    assert_eq!(
        (app.status("welcome:bob").await, app.status("welcome:eve").await),
        (MailStatus::Suppressed, MailStatus::Sent)
    );
    // The list itself names nobody.
    assert!(app.app.system.store.is_suppressed(&address_hash(ANN)).await.unwrap());
    assert!(!app.app.system.store.is_suppressed(ANN).await.unwrap());
}

#[tokio::test]
async fn an_operator_lets_an_address_have_mail_again() {
    let app = MailApp::new().await;
    let store = &app.app.system.store;
    app.mailing.handle(notification(&bounce("Permanent", ANN)), TIME_LEFT).await.unwrap();
    for (address, lifted) in [("bob@example.com", false), ("ANN@Example.com", true), (ANN, false)] {
        assert_eq!(lift(store, address, app.app.time.now()).await.unwrap(), lifted, "{address}");
    }
    assert!(lift(store, "everybody", app.app.time.now()).await.is_err());
    let filter = AuditFilter { actor: Some("operator".to_owned()), ..AuditFilter::default() };
    let records = store.audit_list(app.app.hour().month(), &filter, None, 10).await.unwrap().rows;
    let seen: Vec<_> = records.iter().map(|record| (record.action.as_str(), record.object.clone())).collect();
    assert_eq!(seen, [("mail.unsuppress", "mail".to_owned())]);
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    assert_eq!(app.status("verify:1").await, MailStatus::Sent);
    // Until it bounces again.
    app.mailing.handle(notification(&bounce("Permanent", ANN)), TIME_LEFT).await.unwrap();
    assert!(store.is_suppressed(&address_hash(ANN)).await.unwrap());
}

#[tokio::test]
async fn hostile_notifications_are_done_and_change_nothing() {
    let app = MailApp::new().await;
    let wrong =
        json!({ "notificationType": "Bounce", "bounce": { "bounceType": ["Permanent"], "bouncedRecipients": {} } });
    for message in ["", "{", "[]", "null", &"[".repeat(100_000), &wrong.to_string(), &bounce("Permanent", "everybody")]
    {
        app.mailing.handle(notification(message), TIME_LEFT).await.unwrap();
    }
    app.enqueue(&mail("verify:1")).await;
    app.pump().await;
    assert_eq!(app.status("verify:1").await, MailStatus::Sent);
}
