//! The mail that tells of a low balance.

use crate::Lifecycle;
use domain::account::Status;
use domain::mail::Template;
use domain::{Amount, Id, Unit};
use store::{Access, OutboxMail};

/// What it tells.
pub(crate) struct Notice<'a> {
    /// Names it for ever.
    pub id: String,
    pub customer: &'a Id,
    pub unit: Unit,
    pub balance: Amount,
    pub threshold: Amount,
}

impl Notice<'_> {
    /// The mail.
    pub fn mail(self) -> OutboxMail {
        OutboxMail::to_user(self.id, self.customer, Template::LowBalance)
            .with("balance", shown(self.balance, self.unit))
            .with("threshold", shown(self.threshold, self.unit))
    }
}

/// Whether somebody is there to read a mail. Not where a customer was never registered here, or is gone.
pub(crate) fn is_there(access: Option<&Access>) -> bool {
    match access.map(|access| access.status) {
        Some(Status::Active | Status::Suspended) => true,
        Some(Status::Deactivated | Status::Deleted) | None => false,
    }
}

impl Lifecycle {
    /// Tells the mailer at once. Should that fail, the mail is found in the outbox.
    pub(crate) async fn tell(&self, mail: Option<&OutboxMail>) {
        if let Some(mail) = mail
            && let Err(error) = self.mails.send(vec![mail.id.clone()]).await
        {
            tracing::warn!(error = %error, "the mailer was not told; the outbox has its mail");
        }
    }
}

fn shown(amount: Amount, unit: Unit) -> String {
    let name = match unit {
        Unit::Usd => "USD",
        Unit::Token => "tokens",
    };
    format!("{} {name}", api::show(amount, unit))
}
