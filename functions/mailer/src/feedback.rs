//! What SES tells about mails that were sent: addresses that bounced for good and owners who complained get no more mail.
//!
//! The wire form is that of SES notifications, and of event publishing, which calls one field differently. It is read field by
//! field: what a mail server somewhere wrote into the others is not ours to trust.

use crate::{Mailing, MailingError};
use aws_lambda_events::sns::SnsEvent;
use domain::mail::address_hash;
use serde::Deserialize;
use store::Suppression;

/// Most recipients of one notification that are looked at; our mails have one each.
const MAX_RECIPIENTS: usize = 50;
/// Longest address that is looked at, in bytes: RFC 3696's bound, which is beyond all that are in use.
const MAX_ADDRESS_BYTES: usize = 320;

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "notificationType", alias = "eventType")]
    kind: String,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    complaint_feedback_type: Option<String>,
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
}

impl Mailing {
    /// Notes who gets no more mail. A notification that cannot be read is logged and done: it would not get better.
    ///
    /// # Errors
    /// DynamoDB's: the notifications come again, and noting twice is noting once.
    pub async fn handle_feedback(&self, event: SnsEvent) -> Result<(), MailingError> {
        let (mut suppressed, mut unreadable) = (0, 0);
        for record in event.records {
            match read(&record.sns.message) {
                Ok(addresses) => {
                    for (hash, why) in addresses {
                        self.store.suppress(&hash, why, self.clock.now()).await?;
                        suppressed += 1;
                    }
                }
                // The error quotes the position, not the text.
                Err(error) => {
                    unreadable += 1;
                    tracing::error!(line = error.line(), column = error.column(), "a notification of SES is none");
                }
            }
        }
        tracing::info!(suppressed, unreadable, "feedback handled");
        Ok(())
    }
}

/// Whom a notification is about, by hash, and why they get no more mail. Empty for one that changes nothing: a delivery, a
/// full mailbox, a complaint taken back.
fn read(message: &str) -> Result<Vec<(String, Suppression)>, serde_json::Error> {
    let notification: Notification = serde_json::from_str(message)?;
    let (recipients, why) = match (notification.kind.as_str(), notification.bounce, notification.complaint) {
        ("Bounce", Some(bounce), _) if bounce.bounce_type == "Permanent" => {
            (bounce.bounced_recipients, Suppression::Bounce)
        }
        ("Complaint", _, Some(complaint)) if complaint.complaint_feedback_type.as_deref() != Some("not-spam") => {
            (complaint.complained_recipients, Suppression::Complaint)
        }
        _ => return Ok(Vec::new()),
    };
    let addresses = recipients.iter().take(MAX_RECIPIENTS).filter_map(|recipient| address(&recipient.email_address));
    Ok(addresses.map(|address| (address_hash(address), why)).collect())
}

/// Mail servers write `a@example.com`, `<a@example.com>` or `Ann <a@example.com>`.
fn address(text: &str) -> Option<&str> {
    let inner = text.rsplit_once('<').map_or(text, |(_, rest)| rest);
    let inner = inner.split('>').next().unwrap_or_default().trim();
    (inner.len() <= MAX_ADDRESS_BYTES && inner.contains('@')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounce(kind: &str, address: &str) -> String {
        json!({ "notificationType": "Bounce", "bounce": {
            "bounceType": kind, "bounceSubType": "General", "bouncedRecipients": [
                { "emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550" }
            ], "timestamp": "2026-11-10T00:00:00.000Z", "feedbackId": "0100" },
            "mail": { "messageId": "0100", "destination": [address] } })
        .to_string()
    }

    fn complaint(feedback: Option<&str>) -> String {
        json!({ "eventType": "Complaint", "complaint": {
            "complainedRecipients": [{ "emailAddress": "ann@example.com" }], "complaintFeedbackType": feedback } })
        .to_string()
    }

    #[test]
    fn permanent_bounces_and_complaints_count_and_nothing_else() {
        let ann = address_hash("ann@example.com");
        assert_eq!(read(&bounce("Permanent", "Ann@Example.com")).unwrap(), [(ann.clone(), Suppression::Bounce)]);
        assert_eq!(read(&bounce("Permanent", "\"Ann\" <ann@example.com>")).unwrap().len(), 1);
        assert_eq!(read(&complaint(None)).unwrap(), [(ann.clone(), Suppression::Complaint)]);
        assert_eq!(read(&complaint(Some("abuse"))).unwrap(), [(ann, Suppression::Complaint)]);
        for nothing in [
            bounce("Transient", "ann@example.com"),
            bounce("Undetermined", "ann@example.com"),
            complaint(Some("not-spam")),
            json!({ "notificationType": "Delivery", "delivery": { "recipients": ["ann@example.com"] } }).to_string(),
            json!({ "notificationType": "AmazonSnsSubscriptionSucceeded" }).to_string(),
            json!({ "notificationType": "Bounce" }).to_string(),
        ] {
            assert_eq!(read(&nothing).unwrap(), [], "{nothing}");
        }
    }

    #[test]
    fn hostile_notifications_change_nothing() {
        for text in ["", "null", "[]", "{", "\"Bounce\"", "{\"notificationType\":7}", &"[".repeat(100_000)] {
            assert!(read(text).is_err(), "{}", &text[..text.len().min(40)]);
        }
        let wrong = json!({ "notificationType": "Bounce", "bounce": { "bounceType": "Permanent", "bouncedRecipients": "all" } });
        assert!(read(&wrong.to_string()).is_err());
        // No address, one that is far too long, and far too many.
        assert_eq!(read(&bounce("Permanent", "everybody")).unwrap(), []);
        assert_eq!(read(&bounce("Permanent", &format!("{}@b.example", "a".repeat(1_000)))).unwrap(), []);
        let many: Vec<_> = (0..10_000).map(|n| json!({ "emailAddress": format!("u{n}@example.com") })).collect();
        let many =
            json!({ "notificationType": "Bounce", "bounce": { "bounceType": "Permanent", "bouncedRecipients": many } });
        assert_eq!(read(&many.to_string()).unwrap().len(), MAX_RECIPIENTS);
    }
}
