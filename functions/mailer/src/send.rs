//! One mail: everything that can be prepared, then the claim, the one call, and what came of it.

use crate::Mailing;
use domain::mail::{NAME, address_hash};
use providers::{Letter, MailFailure, MessageId, RawMail};
use std::time::Duration;
use store::{Claim, MailStatus, OutboxMail, Outcome, StoreError};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

/// Longest wait for whoever sends, should it keep no bound of its own.
const SEND_LIMIT: Duration = Duration::from_secs(12);
/// Tries to write down what came of a mail: what is lost here is a mail nobody knows about.
const SETTLE_TRIES: u32 = 4;
/// Wait before the second of them; it doubles.
const SETTLE_WAIT: Duration = Duration::from_millis(100);
/// Characters of the hash of a mail's id that its `Message-ID` is made of.
const MESSAGE_ID_CHARS: usize = 32;

/// A mail before its claim.
enum Ready {
    /// To be sent.
    Send(RawMail),
    /// Decided already.
    Decided(Outcome),
}

impl Mailing {
    /// Sends a mail, if it is begun before `until`. Whether its message is done.
    pub(crate) async fn deliver_until(&self, until: Instant, id: &str) -> bool {
        if Instant::now() >= until {
            return false;
        }
        match self.deliver(until, id).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(mail = id, error = %error, "a mail could not be taken up");
                false
            }
        }
    }

    /// Up to the claim an error means that nothing was done, and the message comes again. From there on the outbox decides:
    /// a mail that was not sent is found there when it is due.
    async fn deliver(&self, until: Instant, id: &str) -> Result<(), StoreError> {
        let Some(ready) = timeout_at(until, self.prepare(id)).await.unwrap_or(Err(TOO_LATE))? else { return Ok(()) };
        let holder = Uuid::new_v4().simple().to_string();
        match self.store.mail_claim(id, &holder, self.clock.now()).await? {
            Claim::Send(_) => {}
            Claim::Done(_) | Claim::InFlight | Claim::Missing => return Ok(()),
        }
        let outcome = match ready {
            Ready::Send(raw) => self.hand_over(raw).await,
            Ready::Decided(outcome) => outcome,
        };
        let settled = self.settle(id, &holder, &outcome).await;
        match (settled, &outcome) {
            (Ok(_), Outcome::Sent(_) | Outcome::Suppressed) => {
                tracing::info!(mail = id, ?outcome, "a mail was settled")
            }
            (Ok(Some(MailStatus::Pending)), _) => tracing::warn!(mail = id, ?outcome, "a mail will be tried again"),
            // An alarm counts these: somebody waits for a mail.
            (Ok(_), _) => tracing::error!(mail = id, ?outcome, "a mail was given up"),
            (Err(error), _) => tracing::error!(mail = id, ?outcome, error = %error, "a mail could not be settled"),
        }
        Ok(())
    }

    /// The mail ready to be handed over. `None` where there is nothing to do: it is final, or somebody's, or not yet due.
    async fn prepare(&self, id: &str) -> Result<Option<Ready>, StoreError> {
        let Some(mut record) = self.store.mail_get(id).await? else {
            tracing::warn!(mail = id.get(..80).unwrap_or(id), "there is no such mail");
            return Ok(None);
        };
        if record.status != MailStatus::Pending || record.not_before > self.clock.now() {
            return Ok(None);
        }
        let Some(to) = self.address(&mut record.mail).await? else {
            return Ok(Some(Ready::Decided(Outcome::Refused("the user has no address".to_owned()))));
        };
        if self.store.is_suppressed(&address_hash(&to)).await? {
            return Ok(Some(Ready::Decided(Outcome::Suppressed)));
        }
        Ok(Some(self.write(&record.mail, to)))
    }

    /// Where it goes: what the mail says, else what its user has now. A user who is known is greeted by name.
    async fn address(&self, mail: &mut OutboxMail) -> Result<Option<String>, StoreError> {
        if let (None, Some(user)) = (&mail.to, &mail.user)
            && let Some((profile, _)) = self.store.user_get(user).await?
        {
            mail.to = profile.email.map(|email| email.as_str().to_owned());
            if let Some(name) = profile.name {
                mail.params.entry(NAME.to_owned()).or_insert(name);
            }
        }
        Ok(mail.to.clone())
    }

    fn write(&self, mail: &OutboxMail, to: String) -> Ready {
        let rendered = match self.templates.render(mail.template, &mail.params) {
            Ok(rendered) => rendered,
            Err(error) => return Ready::Decided(Outcome::Refused(error.to_string())),
        };
        // Two tries of one mail have one `Message-ID`. SES writes its own, others keep it.
        let message_id = address_hash(&mail.id).chars().take(MESSAGE_ID_CHARS).collect();
        let letter = Letter {
            from_name: self.config.product.clone(),
            from: self.config.from.clone(),
            to,
            reply_to: Some(self.config.support.clone()),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            message_id,
            date_secs: self.clock.now().secs(),
        };
        match letter.seal() {
            Ok(raw) => Ready::Send(raw),
            Err(error) => Ready::Decided(Outcome::Refused(error.detail)),
        }
    }

    async fn hand_over(&self, raw: RawMail) -> Outcome {
        match timeout(SEND_LIMIT, self.mailer.send(raw)).await {
            Ok(Ok(MessageId(id))) => Outcome::Sent(id),
            Ok(Err(error)) => match error.kind {
                MailFailure::NotSent => Outcome::NotSent(error.detail),
                MailFailure::Refused => Outcome::Refused(error.detail),
                MailFailure::Unknown => Outcome::Unknown(error.detail),
            },
            Err(_) => Outcome::Unknown("no answer in time".to_owned()),
        }
    }

    async fn settle(&self, id: &str, holder: &str, outcome: &Outcome) -> Result<Option<MailStatus>, StoreError> {
        let mut wait = SETTLE_WAIT;
        let mut tries = 1;
        loop {
            match self.store.mail_settle(id, holder, outcome, self.clock.now()).await {
                Err(_) if tries < SETTLE_TRIES => {
                    sleep(wait).await;
                    (wait, tries) = (wait * 2, tries + 1);
                }
                settled => return settled,
            }
        }
    }
}

const TOO_LATE: StoreError = StoreError::Conflict("the deadline came first");
