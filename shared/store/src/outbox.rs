//! The outbox: one record per mail decides whether it went out.
//!
//! A mail is written here first, by its deterministic id: the same id twice is one mail. Whoever sends it claims it before the
//! call to the mail service (`pending` to `sending`), and settles it after. A mail whose answer was lost is never sent again
//! blind: it becomes `unknown`, where people see it. A mail that is final holds no parameters and no address any more, for they
//! are tokens and personal; what is left of it expires after [`KEPT_SECS`].
//!
//! The pointer in the partition `OUTBOX` stands as long as the mail is not final, sorted by when somebody should look at it
//! again. So one query finds what waits, oldest first, and a mail whose message was lost is found there.

mod settle;

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, read_document, s};
use crate::keys::{self, PK, SK, TTL};
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::mail::{MAX_ADDRESS_BYTES, Template};
use domain::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub use settle::{MAX_TRIES, Outcome, RETRY_SECS};

/// Longest id of a mail, in bytes.
pub const MAX_MAIL_ID_BYTES: usize = 200;
/// Most that a mail's parameters hold, names included, in bytes.
pub const MAX_PARAMS_BYTES: usize = 16 * 1024;
/// Seconds after which a mail whose message did not come is found again.
pub const FIRST_LOOK_SECS: i64 = 60;
/// Seconds a claim holds: longer than the mailer may run.
pub const LEASE_SECS: i64 = 300;
/// Seconds the record of a final mail is kept: 90 days.
pub const KEPT_SECS: i64 = 90 * 86_400;
/// Tries of a write against others at the same record.
const MAX_ROUNDS: usize = 8;

/// A mail to be sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMail {
    /// Names it for ever: derived from what it tells, such as `receipt:<payment>`. Visible ASCII, up to 200 bytes.
    pub id: String,
    /// Where to. `None`: the address the user has when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whom it is for, where that is a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Id>,
    /// What it says.
    pub template: Template,
    /// What the template is told, see [`Template::params`]. Amounts and times as they are to be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

impl fmt::Debug for OutboxMail {
    /// Without address and parameters: they are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboxMail({}, {})", self.id, self.template)
    }
}

impl OutboxMail {
    /// A mail to a user, at the address the user has when it is sent.
    #[must_use]
    pub fn to_user(id: impl Into<String>, user: &Id, template: Template) -> Self {
        Self { id: id.into(), to: None, user: Some(user.clone()), template, params: BTreeMap::new() }
    }

    /// A mail to an address.
    #[must_use]
    pub fn to_address(id: impl Into<String>, address: impl Into<String>, template: Template) -> Self {
        Self { id: id.into(), to: Some(address.into()), user: None, template, params: BTreeMap::new() }
    }

    /// With one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    fn check(&self) -> Result<(), StoreError> {
        let invalid = |what: String| Err(StoreError::Invalid(what));
        if !(1..=MAX_MAIL_ID_BYTES).contains(&self.id.len()) || !self.id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return invalid(format!("a mail's id is 1 to {MAX_MAIL_ID_BYTES} visible ASCII characters"));
        }
        if self.to.is_none() && self.user.is_none() {
            return invalid(format!("the mail {} has nobody to go to", self.id));
        }
        let is_refused = |c: char| c.is_control() || c.is_whitespace() || ",;<>".contains(c);
        let is_address = |to: &String| to.len() <= MAX_ADDRESS_BYTES && to.contains('@') && !to.chars().any(is_refused);
        if !self.to.as_ref().is_none_or(is_address) {
            return invalid(format!("the mail {} has no address one could send to", self.id));
        }
        if let Some(wrong) = self.template.wrong_params(self.params.keys().map(String::as_str)) {
            return invalid(wrong);
        }
        let bytes: usize = self.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_PARAMS_BYTES {
            return invalid(format!("the mail {} has {bytes} bytes of parameters", self.id));
        }
        Ok(())
    }
}

/// Whether a mail was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the outbox now.
    New,
    /// One of that id was there already, and stays as it was.
    Already,
}

/// How far a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// To be sent.
    Pending,
    /// Claimed by somebody who sends it now.
    Sending,
    /// The mail service has taken it.
    Sent,
    /// It will not be sent: refused, or not taken in [`MAX_TRIES`] tries.
    Failed,
    /// Not sent, because its address wants or takes no mail.
    Suppressed,
    /// Perhaps sent: the answer was lost.
    Unknown,
}

impl MailStatus {
    /// Nothing more will happen to it by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Sending => false,
            Self::Sent | Self::Failed | Self::Suppressed | Self::Unknown => true,
        }
    }
}

/// A mail with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRecord {
    /// The mail. Without address and parameters once it is final.
    pub mail: OutboxMail,
    /// How far it is.
    pub status: MailStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When its pointer says that somebody should look at it.
    due: Timestamp,
    /// Not to be sent before.
    pub not_before: Timestamp,
    /// How often it was claimed.
    pub tries: u32,
    /// Who claimed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// Until when that claim holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// What the mail service calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Why it was not sent, or is unknown; for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl MailRecord {
    /// Whether its claim has run out: whoever held it is gone, and whether it was sent is unknown.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.status == MailStatus::Sending && self.lease_until.is_none_or(|until| until < now)
    }
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Send it, once, then settle it.
    Send(Box<MailRecord>),
    /// It is final.
    Done(MailStatus),
    /// Somebody else sends it, or it is not to be tried before a later time.
    InFlight,
    /// There is none of that id.
    Missing,
}

impl Store {
    /// Writes a mail to the outbox. Then send its id to the mail queue; should that fail, it is found in the outbox.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where it could never be sent; DynamoDB's.
    pub async fn mail_enqueue(&self, mail: &OutboxMail, now: Timestamp) -> Result<Enqueued, StoreError> {
        let mut rounds = 0;
        loop {
            match self.transact(Area::Other, self.mail_actions(mail, now)?).await {
                Ok(()) => return Ok(Enqueued::New),
                Err(StoreError::Conflict(_)) if self.mail_get(&mail.id).await?.is_some() => {
                    return Ok(Enqueued::Already);
                }
                // Another transaction was at it, and has not won.
                Err(StoreError::Conflict(_)) if rounds < MAX_ROUNDS => rounds += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The two writes of [`Store::mail_enqueue`], for a transaction that writes down the fact, too. It fails with its condition
    /// where a mail of that id is there already.
    pub(crate) fn mail_actions(&self, mail: &OutboxMail, now: Timestamp) -> Result<Vec<TransactWriteItem>, StoreError> {
        mail.check()?;
        let record = MailRecord {
            mail: mail.clone(),
            status: MailStatus::Pending,
            created_at: now,
            due: now.plus_secs(FIRST_LOOK_SECS),
            not_before: now,
            tries: 0,
            holder: None,
            lease_until: None,
            message_id: None,
            reason: None,
            finished_at: None,
        };
        let item = document(keys::mail(&mail.id), keys::MAIL.to_owned(), 1, &record)?;
        Ok(vec![self.put_action(item, None)?, self.pointer_put(&record)?])
    }

    /// A mail.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn mail_get(&self, id: &str) -> Result<Option<MailRecord>, StoreError> {
        Ok(self.mail_read(id).await?.map(|(record, _)| record))
    }

    /// Claims a mail, so that nobody else sends it. `holder` names this one try, and no other.
    ///
    /// # Errors
    /// DynamoDB's: whether it is claimed is then unknown, and the same holder may ask again.
    pub async fn mail_claim(&self, id: &str, holder: &str, now: Timestamp) -> Result<Claim, StoreError> {
        for _ in 0..MAX_ROUNDS {
            let Some((mut record, rev)) = self.mail_read(id).await? else { return Ok(Claim::Missing) };
            match record.status {
                // The answer to our own write was lost on the way, and the SDK has written again.
                MailStatus::Sending if record.holder.as_deref() == Some(holder) => {
                    return Ok(Claim::Send(Box::new(record)));
                }
                MailStatus::Sending => return Ok(Claim::InFlight),
                MailStatus::Pending if record.not_before > now => return Ok(Claim::InFlight),
                MailStatus::Pending => {}
                MailStatus::Sent | MailStatus::Failed | MailStatus::Suppressed | MailStatus::Unknown => {
                    return Ok(Claim::Done(record.status));
                }
            }
            record.status = MailStatus::Sending;
            record.holder = Some(holder.to_owned());
            record.lease_until = Some(now.plus_secs(LEASE_SECS));
            record.tries += 1;
            match self.put(Area::Other, mail_item(&record, rev + 1)?, Some(rev)).await {
                Ok(()) => return Ok(Claim::Send(Box::new(record))),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("mail_claim"))
    }

    async fn mail_read(&self, id: &str) -> Result<Option<(MailRecord, u32)>, StoreError> {
        let item = self.get(Area::Other, keys::mail(id), keys::MAIL.to_owned()).await?;
        item.as_ref().map(read_document).transpose()
    }

    fn pointer_put(&self, record: &MailRecord) -> Result<TransactWriteItem, StoreError> {
        let pointer = HashMap::from([
            (PK.to_owned(), s(keys::OUTBOX)),
            (SK.to_owned(), s(keys::outbox(record.due, &record.mail.id))),
        ]);
        self.put_action(pointer, None)
    }
}

fn mail_item(record: &MailRecord, rev: u32) -> Result<Item, StoreError> {
    let mut item = document(keys::mail(&record.mail.id), keys::MAIL.to_owned(), rev, record)?;
    if let Some(at) = record.finished_at {
        item.insert(TTL.to_owned(), crate::item::n(at.secs() + KEPT_SECS));
    }
    Ok(item)
}
