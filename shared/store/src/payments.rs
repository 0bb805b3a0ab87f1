//! Payments: their records, and the ways to find them.
//!
//! Owns: that a payment is written down before its processor hears of it, that one processor's object belongs to one payment,
//! that every payment which may still change has one pointer in `OPEN_PAYMENTS`, sorted by when somebody should look at it
//! next, and how many automatic top-ups a customer has had in a day.
//!
//! Does *not*: decide where a payment stands ([`domain::payment`] does), or hold money (the ledger does).

mod list;
mod parked;

use crate::audit::AuditRecord;
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::expr;
use crate::item::{document, n, number, read_document, s, text};
use crate::keys::{self, PK, SK, TTL};
use crate::outbox::OutboxMail;
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use domain::payment::{Payment, Processor};
use domain::{Amount, Id, Timestamp};
use std::collections::HashMap;

pub use list::{PaymentFilter, PaymentPage};
pub use parked::{
    Deal, Dealing, EVENT_KEPT_SECS, Parked, ParkedPage, ParkedStatus, RevisedParked, Unmatched, parked_id,
};

/// Tries of a new payment against others that count top-ups.
const MAX_ROUNDS: usize = 8;
/// Automatic top-ups of one customer in a day, whatever they add up to.
pub const MAX_TOP_UPS_A_DAY: u32 = 10;
/// How long a day's count of top-ups is kept.
const TOP_UPS_KEPT_SECS: i64 = 3 * 86_400;
const DAY_SECS: i64 = 86_400;

/// A payment, and the revision it was read at.
pub type Revised = (Payment, u32);

/// What became of a new payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentCreated {
    /// It is written down.
    New(Box<Revised>),
    /// There was one of that id.
    Existing(Box<Revised>),
    /// The customer has had as many automatic top-ups as a day may have.
    TooMany,
}

impl Store {
    /// Writes a payment down, before anybody else hears of it. With `daily_limit`, only if this and the customer's other
    /// payments written with one stay within it on this day, and are not too many.
    ///
    /// # Errors
    /// DynamoDB's: whether it was written is then unknown, and the same call again finds out.
    pub async fn payment_create(
        &self,
        payment: &Payment,
        daily_limit: Option<Amount>,
        now: Timestamp,
    ) -> Result<PaymentCreated, StoreError> {
        if daily_limit.is_some_and(|limit| payment.amount > limit) {
            return Ok(PaymentCreated::TooMany);
        }
        for _ in 0..MAX_ROUNDS {
            let mut actions = vec![
                self.put_action(payment_item(payment, 1)?, None)?,
                self.put_action(pointer(keys::payments_of(&payment.customer), keys::payment_of(payment)), None)?,
            ];
            actions.extend(self.due_put(payment)?);
            if let Some(limit) = daily_limit {
                actions.push(self.count_top_up(payment, limit, now)?);
            }
            match self.transact(Area::Other, actions).await {
                Ok(()) => return Ok(PaymentCreated::New(Box::new((payment.clone(), 1)))),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            if let Some(held) = self.payment(&payment.id).await? {
                return Ok(PaymentCreated::Existing(Box::new(held)));
            }
            if let Some(limit) = daily_limit
                && !self.may_top_up(payment, limit, now).await?
            {
                return Ok(PaymentCreated::TooMany);
            }
        }
        Err(StoreError::Conflict("payment_create"))
    }

    /// A payment and its revision. One consistent read.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn payment(&self, id: &Id) -> Result<Option<Revised>, StoreError> {
        let item = self.get(Area::Other, keys::payment(id), keys::PAYMENT.to_owned()).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Which payment a processor's object belongs to.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn payment_of_object(&self, processor: Processor, object: &str) -> Result<Option<Id>, StoreError> {
        let item = self.get(Area::Other, keys::processor_object(processor, object), keys::PAYMENT.to_owned()).await?;
        Ok(item.as_ref().and_then(|item| text(item, PAYMENT)).and_then(|id| Id::new(id).ok()))
    }

    /// Replaces a payment's record, moves its pointer along, binds the processor's objects it names, and puts the mails that
    /// tell of it into the outbox: all or nothing. A mail that was written before is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else changed it meanwhile, or an object belongs to another payment; DynamoDB's.
    pub async fn payment_update(
        &self,
        old: &Revised,
        new: &Payment,
        mails: &[OutboxMail],
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let mut actions = self.payment_actions(old, new)?;
        for mail in mails {
            if self.mail_get(&mail.id).await?.is_none() {
                actions.extend(self.mail_actions(mail, now)?);
            }
        }
        self.transact(Area::Other, actions).await?;
        Ok(old.1 + 1)
    }

    /// As [`Store::payment_update`], with a record of who did it.
    ///
    /// # Errors
    /// As [`Store::payment_update`].
    pub async fn payment_update_by(
        &self,
        old: &Revised,
        new: &Payment,
        record: &AuditRecord,
    ) -> Result<u32, StoreError> {
        let mut actions = self.payment_actions(old, new)?;
        actions.push(self.audit_action(record)?);
        self.transact(Area::Other, actions).await?;
        Ok(old.1 + 1)
    }

    fn payment_actions(&self, old: &Revised, new: &Payment) -> Result<Vec<TransactWriteItem>, StoreError> {
        let (held, rev) = old;
        let mut actions = vec![self.put_action(payment_item(new, rev + 1)?, Some(*rev))?];
        if held.due != new.due {
            actions.extend(self.due_delete(held)?);
            actions.extend(self.due_put(new)?);
        }
        let bound = objects(held);
        for object in objects(new).into_iter().filter(|object| !bound.contains(object)) {
            let mut item = pointer(keys::processor_object(new.processor, object), keys::PAYMENT.to_owned());
            item.insert(PAYMENT.to_owned(), s(new.id.as_str()));
            actions.push(self.put_action(item, None)?);
        }
        Ok(actions)
    }

    /// Payments that somebody should have looked at by now, longest waiting first, at most `limit`.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn payments_due(&self, now: Timestamp, limit: u16) -> Result<Vec<Id>, StoreError> {
        let before = Span::Before(keys::due_before(now.plus_secs(1)));
        let (items, _) = self.query(&Query::new(Area::Other, keys::OPEN_PAYMENTS, before).limit(limit), None).await?;
        let ids = items.iter().filter_map(|item| text(item, SK)?.split_once('#').map(|(_, id)| Id::new(id)));
        Ok(ids.filter_map(Result::ok).collect())
    }

    /// The processor's name for a customer.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn processor_customer(&self, processor: Processor, customer: &Id) -> Result<Option<String>, StoreError> {
        let (pk, sk) = (keys::processor_customer(customer), processor.as_str().to_owned());
        Ok(self.get(Area::Other, pk, sk).await?.as_ref().and_then(|item| text(item, NAME)).map(str::to_owned))
    }

    /// Writes it down. The first one stays; it is returned.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn processor_customer_put(
        &self,
        processor: Processor,
        customer: &Id,
        name: &str,
    ) -> Result<String, StoreError> {
        let mut item = pointer(keys::processor_customer(customer), processor.as_str().to_owned());
        item.insert(NAME.to_owned(), s(name));
        match self.put(Area::Other, item, None).await {
            Ok(()) => Ok(name.to_owned()),
            Err(StoreError::Conflict(_)) => {
                let held = self.processor_customer(processor, customer).await?;
                held.ok_or(StoreError::Conflict("processor_customer_put"))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the day has room for one more.
    async fn may_top_up(&self, payment: &Payment, limit: Amount, now: Timestamp) -> Result<bool, StoreError> {
        let item = self.get(Area::Other, keys::top_ups(&payment.customer), keys::day(now.hour().day())).await?;
        let held = |name: &str| item.as_ref().and_then(|item| number::<i64>(item, name)).unwrap_or(0);
        let room = held(SPENT) <= limit.steps() - payment.amount.steps();
        Ok(room && held(TIMES) < i64::from(MAX_TOP_UPS_A_DAY))
    }

    fn count_top_up(&self, payment: &Payment, limit: Amount, now: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables().main)
            .key(PK, s(keys::top_ups(&payment.customer)))
            .key(SK, s(keys::day(now.hour().day())))
            .update_expression(expr::TOP_UP_COUNT)
            .condition_expression(expr::TOP_UP_ROOM)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":amount", n(payment.amount.steps()))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":room", n(limit.steps() - payment.amount.steps()))
            .expression_attribute_values(":most", n(MAX_TOP_UPS_A_DAY))
            .expression_attribute_values(":ttl", n(now.secs() + DAY_SECS + TOP_UPS_KEPT_SECS));
        let update = update.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn due_put(&self, payment: &Payment) -> Result<Option<TransactWriteItem>, StoreError> {
        let Some(due) = payment.due else { return Ok(None) };
        self.put_action(pointer(keys::OPEN_PAYMENTS.to_owned(), keys::due_payment(due, &payment.id)), None).map(Some)
    }

    fn due_delete(&self, payment: &Payment) -> Result<Option<TransactWriteItem>, StoreError> {
        let Some(due) = payment.due else { return Ok(None) };
        let delete = Delete::builder().table_name(&self.tables().main).key(PK, s(keys::OPEN_PAYMENTS));
        let delete = delete.key(SK, s(keys::due_payment(due, &payment.id))).build();
        let delete = delete.map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(Some(TransactWriteItem::builder().delete(delete).build()))
    }
}

const PAYMENT: &str = "payment";
const SPENT: &str = "spent";
const TIMES: &str = "times";
const NAME: &str = "name";

/// The processor's objects that stand for a payment: words about them lead to it.
fn objects(payment: &Payment) -> Vec<&str> {
    let mut objects: Vec<&str> = [&payment.object, &payment.capture].into_iter().filter_map(Option::as_deref).collect();
    objects.dedup();
    objects
}

fn payment_item(payment: &Payment, rev: u32) -> Result<crate::item::Item, StoreError> {
    document(keys::payment(&payment.id), keys::PAYMENT.to_owned(), rev, payment)
}

fn pointer(pk: String, sk: String) -> crate::item::Item {
    HashMap::from([(PK.to_owned(), s(pk)), (SK.to_owned(), s(sk))])
}
