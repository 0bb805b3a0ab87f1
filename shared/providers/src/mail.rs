//! Mail: what a finished one looks like, and the trait of whoever takes it away.
//!
//! Owns: the wire form (RFC 5322 and MIME, one recipient, text and HTML). Does *not* know what a mail says, nor whether it was
//! sent before: the outbox does.

use async_trait::async_trait;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::date::Date;
use std::fmt;

/// Largest mail, in bytes: what a template makes is a hundredth of it, and SES takes 10 MB.
pub const MAX_MAIL_BYTES: usize = 256 * 1024;

/// A mail before it is put into its wire form.
#[derive(Clone)]
pub struct Letter {
    /// Who it is from, as people read it.
    pub from_name: String,
    /// Where it is from.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Where answers go, if elsewhere.
    pub reply_to: Option<String>,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The left part of its `Message-ID`; the right one is the domain it is from.
    pub message_id: String,
    /// Its date, in seconds since the epoch.
    pub date_secs: i64,
}

/// A mail as it goes over the wire. Its address and its bytes are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct RawMail {
    /// Envelope: where it is from.
    pub from: String,
    /// Envelope: where it goes.
    pub to: String,
    /// Headers and body.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for RawMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawMail({} bytes)", self.bytes.len())
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter")
    }
}

impl Letter {
    /// The wire form.
    ///
    /// # Errors
    /// [`MailFailure::Refused`] where an address or a header holds what could begin another header, or the mail is too large.
    pub fn seal(self) -> Result<RawMail, MailError> {
        let refused = |what: &str| MailError::new(MailFailure::Refused, what);
        let addresses = [&self.from, &self.to].into_iter().chain(&self.reply_to);
        if addresses.into_iter().any(|address| !is_address(address)) {
            return Err(refused("an address is none"));
        }
        // The builder would leave control characters out or encode them; one in a header is an attack, or a bug of ours.
        if [&self.from_name, &self.subject, &self.message_id].iter().any(|text| text.chars().any(char::is_control)) {
            return Err(refused("a header holds a control character"));
        }
        let domain = self.from.rsplit('@').next().unwrap_or_default();
        let message = MessageBuilder::new()
            .from(Address::new_address(Some(self.from_name), self.from.clone()))
            .to(self.to.clone())
            .subject(self.subject)
            .date(Date::new(self.date_secs))
            .message_id(format!("{}@{domain}", self.message_id))
            // Answering machines need not answer.
            .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
            .text_body(self.text)
            .html_body(self.html);
        let message = match self.reply_to {
            Some(address) => message.reply_to(address),
            None => message,
        };
        let bytes = message.write_to_vec().map_err(|e| refused(&e.to_string()))?;
        if bytes.len() > MAX_MAIL_BYTES {
            return Err(refused("the mail is too large"));
        }
        Ok(RawMail { from: self.from, to: self.to, bytes })
    }
}

/// One address, and nothing that would make two of it.
fn is_address(text: &str) -> bool {
    let is_refused = |c: char| c.is_control() || c.is_whitespace() || ",;:<>()[]\\\"".contains(c);
    text.len() <= 254
        && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.chars().any(is_refused)
}

/// What a call that failed means for the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailFailure {
    /// It was clearly not sent, and may be later: throttled, paused, not reached.
    NotSent,
    /// It was clearly not sent, and never will be.
    Refused,
    /// Nobody knows: the answer was lost.
    Unknown,
}

/// A failed call; for an operator's log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("mail {kind:?}: {detail}")]
pub struct MailError {
    /// What it means.
    pub kind: MailFailure,
    /// What happened, without addresses.
    pub detail: String,
}

impl MailError {
    /// An error of a call.
    pub fn new(kind: MailFailure, detail: impl ToString) -> Self {
        Self { kind, detail: detail.to_string() }
    }
}

/// What the service calls a mail it has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageId(pub String);

/// Takes mails away: SES in the cloud, a mailbox to look at on a laptop. Each call sends once: a service that knows no
/// idempotency must not be asked again by anything below this trait.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Sends a mail.
    async fn send(&self, mail: RawMail) -> Result<MessageId, MailError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            from_name: "Skymeter \"Läden\"".to_owned(),
            from: "billing@skymeter.example".to_owned(),
            to: "ann@example.com".to_owned(),
            reply_to: Some("help@skymeter.example".to_owned()),
            subject: "Größe und mehr, in einer langen Zeile, die nirgends umbricht, weil sie muss, aber dann doch"
                .to_owned(),
            text: "Hello.\r\n.\r\nFrom here\n".to_owned(),
            html: "<p>Hello.</p>".to_owned(),
            message_id: "0123".to_owned(),
            date_secs: 1_793_232_000,
        }
    }

    #[test]
    fn the_wire_form_has_every_header_once_and_lines_within_bounds() {
        let raw = letter().seal().unwrap();
        let text = String::from_utf8(raw.bytes).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        let names =
            ["From:", "To:", "Reply-To:", "Subject:", "Date:", "Message-ID:", "MIME-Version:", "Auto-Submitted:"];
        for name in names {
            assert_eq!(head.lines().filter(|line| line.starts_with(name)).count(), 1, "{name} in {head}");
        }
        assert!(head.contains("Message-ID: <0123@skymeter.example>"), "{head}");
        assert!(head.contains("Date: Thu, 29 Oct 2026 00:00:00 +0000"), "{head}");
        assert!(text.contains("multipart/alternative"));
        assert!(text.lines().all(|line| line.len() <= 998), "a line is too long");
        assert!(text.is_ascii());
    }

    #[test]
    fn nothing_can_begin_a_header_or_add_a_recipient() {
        let evil = "a\r\nBcc: b@example.com";
        let broken: [fn(&mut Letter, &str); 4] = [
            |letter, evil| letter.subject = evil.to_owned(),
            |letter, evil| letter.from_name = evil.to_owned(),
            |letter, evil| letter.message_id = evil.to_owned(),
            |letter, evil| letter.to = format!("{evil}@example.com"),
        ];
        for set in broken {
            let mut letter = letter();
            set(&mut letter, evil);
            assert_eq!(letter.seal().unwrap_err().kind, MailFailure::Refused);
        }
        for to in ["a@b.example,c@d.example", "a@b.example c@d.example", "<a@b.example>", "@b.example", "a@", "a", ""] {
            let letter = Letter { to: to.to_owned(), ..letter() };
            assert_eq!(letter.seal().unwrap_err().kind, MailFailure::Refused, "{to}");
        }
    }

    #[test]
    fn what_is_shown_names_nobody() {
        let raw = letter().seal().unwrap();
        assert!(!format!("{raw:?} {:?}", letter()).contains("ann"));
    }
}
