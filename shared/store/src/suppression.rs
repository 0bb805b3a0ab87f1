//! Addresses that get no mail any more: they bounced for good, or their owner complained. An address stands here by its hash
//! only ([`domain::mail::address_hash`]).

use crate::audit::{By, MAIL_UNSUPPRESS};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::expr;
use crate::item::{Item, n, s};
use crate::keys::{self, PK, SK};
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use domain::Timestamp;
use serde_json::Value;

/// Why an address gets no mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// There is no such mailbox.
    Bounce,
    /// Its owner called a mail of ours spam.
    Complaint,
}

impl Suppression {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
        }
    }
}

impl Store {
    /// No more mail to this address. What was said first stays.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn suppress(&self, address_hash: &str, why: Suppression, now: Timestamp) -> Result<(), StoreError> {
        let item = Item::from([
            (PK.to_owned(), s(keys::suppressed(address_hash))),
            (SK.to_owned(), s(keys::SUPPRESSED)),
            ("reason".to_owned(), s(why.as_str())),
            ("at".to_owned(), n(now.secs())),
        ]);
        match self.put(Area::Other, item, None).await {
            Err(StoreError::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    /// Mail to this address again, with its record in the audit log, which does not say which: a hash would outlive its owner,
    /// and is soon guessed. False where there was none to lift.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn unsuppress(&self, address_hash: &str, by: &By) -> Result<bool, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::suppressed(address_hash)))
            .key(SK, s(keys::SUPPRESSED))
            .condition_expression(expr::EXISTS)
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        let record = by.record(MAIL_UNSUPPRESS, "mail".to_owned(), Value::Null, Value::Null);
        let actions = vec![TransactWriteItem::builder().delete(delete).build(), self.audit_action(&record)?];
        match self.transact(Area::Other, actions).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) if !self.is_suppressed(address_hash).await? => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether this address gets no mail.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn is_suppressed(&self, address_hash: &str) -> Result<bool, StoreError> {
        let item = self.get(Area::Other, keys::suppressed(address_hash), keys::SUPPRESSED.to_owned()).await?;
        Ok(item.is_some())
    }
}
