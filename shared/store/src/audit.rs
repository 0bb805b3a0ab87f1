//! The audit log: who changed what, from what to what, from where. Append-only: nothing here is ever updated or deleted, and no
//! role needs a permission to do so.
//!
//! Owns: its records and how they are found. A record of a change in `main` or `identity` is written in the same transaction as
//! the change. A change of the ledger needs none to be accounted for (the page names who and why), so its record follows the
//! page: under an id that is derived from the page's key, so that whoever repeats the request completes it, once.
//!
//! Does *not*: decide who may change anything. It never holds passwords, tokens or mail addresses, nor names of persons and
//! companies: it outlives those who leave, so of a name it only says that it changed.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, document, read_document, text};
use crate::keys::{self, SK};
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{Id, Month, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Records looked at for one page of a filtered list; then the caller gets a cursor to go on.
pub const MAX_EXAMINED: usize = 1_000;
/// Records read at once where most may not match.
const STRETCH: usize = 200;

/// Who acts at the command line, and from where: whoever has rights on the tables.
const OPERATOR: (&str, &str) = ("operator", "cli");

/// A user was changed.
pub const USER_UPDATE: &str = "user.update";
/// A user was deactivated.
pub const USER_DEACTIVATE: &str = "user.deactivate";
/// Credits were added.
pub const CREDITS_ADD: &str = "credits.add";
/// Credits were taken away.
pub const CREDITS_REMOVE: &str = "credits.remove";
/// A setting was set.
pub const SETTING_SET: &str = "setting.set";
/// A payment was given back, in whole or in part.
pub const PAYMENT_REFUND: &str = "payment.refund";
/// What a processor reported and nobody could match was dealt with.
pub const PARKED_DEAL_WITH: &str = "parked.deal_with";
/// Hourly billing was started by hand.
pub const BILLING_TRIGGER: &str = "billing.trigger";
/// A key of access tokens was withdrawn.
pub const ACCESS_KEY_RETIRE: &str = "access_key.retire";
/// An address gets mail again.
pub const MAIL_UNSUPPRESS: &str = "mail.unsuppress";

/// Who acts, when, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Id,
    /// When.
    pub at: Timestamp,
    /// Id of the record, should there be one.
    pub record: Id,
    /// The caller's address.
    pub address: String,
    /// Names the request in the function's log.
    pub request_id: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its id.
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Id,
    /// What was done, such as `setting.set`.
    pub action: String,
    /// To what, such as `setting/server_hours_per_month` or `user/<id>`.
    pub object: String,
    /// Why, where a reason is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it was.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// What it is.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// From where.
    pub address: String,
    /// In which request.
    pub request_id: String,
}

impl By {
    /// An operator at the command line. There is no request: the record stands for it.
    ///
    /// # Errors
    /// Never: the name is ours.
    pub fn operator(record: Id, at: Timestamp) -> Result<Self, StoreError> {
        let (actor, address) = OPERATOR;
        let actor = Id::new(actor).map_err(|error| StoreError::Invalid(error.to_string()))?;
        Ok(Self { actor, at, address: address.to_owned(), request_id: record.to_string(), record })
    }

    /// The record of a change.
    #[must_use]
    pub fn record(&self, action: &str, object: String, before: Value, after: Value) -> AuditRecord {
        AuditRecord {
            id: self.record.clone(),
            at: self.at,
            actor: self.actor.clone(),
            action: action.to_owned(),
            object,
            reason: None,
            before,
            after,
            address: self.address.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// Which records. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of this actor.
    pub actor: Option<String>,
    /// Those about this object.
    pub object: Option<String>,
    /// Those of this action.
    pub action: Option<String>,
}

impl AuditFilter {
    fn takes(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.actor, record.actor.as_str()) && is(&self.object, &record.object) && is(&self.action, &record.action)
    }
}

/// A stretch of a filtered list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What was found.
    pub rows: Vec<T>,
    /// Where the next stretch begins; nothing at the end of the list. It may be that no more is found there.
    pub next: Option<String>,
}

impl Store {
    /// Action: the record is written, in the transaction of what it is about.
    pub(crate) fn audit_action(&self, record: &AuditRecord) -> Result<TransactWriteItem, StoreError> {
        self.put_action(audit_item(record)?, None)
    }

    /// Writes a record of what is no change in a table of ours, or was one before. Returns whether it is new: one of the same
    /// id and time stays as it was.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn audit_write(&self, record: &AuditRecord) -> Result<bool, StoreError> {
        match self.put(Area::Other, audit_item(record)?, None).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records of a month, newest first, at most `limit`. `before` is `next` of the stretch before.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn audit_list(
        &self,
        month: Month,
        filter: &AuditFilter,
        before: Option<String>,
        limit: usize,
    ) -> Result<Found<AuditRecord>, StoreError> {
        let stretch = if *filter == AuditFilter::default() { limit + 1 } else { STRETCH };
        let (mut rows, mut position, mut examined) = (Vec::new(), before, 0);
        loop {
            let (items, is_last) = self.audit_stretch(month, position.as_deref(), stretch).await?;
            for item in &items {
                if rows.len() == limit {
                    return Ok(Found { rows, next: position });
                }
                let (record, _) = read_document::<AuditRecord>(item)?;
                position = text(item, SK).map(str::to_owned);
                examined += 1;
                rows.extend(filter.takes(&record).then_some(record));
            }
            if is_last {
                return Ok(Found { rows, next: None });
            }
            if examined >= MAX_EXAMINED {
                return Ok(Found { rows, next: position });
            }
        }
    }

    async fn audit_stretch(
        &self,
        month: Month,
        before: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let span = before.map_or(Span::All, |before| Span::Before(before.to_owned()));
        let query = Query::new(Area::Other, keys::audit(month), span).newest_first().limit(most);
        let (items, next) = self.query(&query, None).await?;
        Ok((items, next.is_none()))
    }
}

fn audit_item(record: &AuditRecord) -> Result<Item, StoreError> {
    document(keys::audit(record.at.hour().month()), keys::audit_record(record.at, &record.id), 1, record)
}
