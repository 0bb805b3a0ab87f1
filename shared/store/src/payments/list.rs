//! A customer's payments, newest first.

use super::{Payment, Store, StoreError};
use crate::capacity::Area;
use crate::item::{Item, read_document, s, text};
use crate::keys::{self, PK, SK};
use crate::query::{Query, Span};
use domain::payment::{Processor, Status};
use domain::{Hour, Id, Timestamp};
use std::collections::HashMap;

/// Stretches of the index that are looked through for one page of a filtered list.
const MAX_ROUNDS: usize = 5;

/// Longest sort key that DynamoDB takes.
const MAX_CURSOR_BYTES: usize = 1_024;

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only by this processor.
    pub processor: Option<Processor>,
    /// Made at or after.
    pub from: Option<Timestamp>,
    /// Made before.
    pub to: Option<Timestamp>,
}

impl PaymentFilter {
    /// Whether a part of this list may begin after `after`.
    #[must_use]
    pub fn covers(&self, after: &str) -> bool {
        let (from, to) = self.range();
        !after.is_empty() && (from.as_str()..=to.as_str()).contains(&after) && after.len() <= MAX_CURSOR_BYTES
    }

    /// The first and the last sort key of the index that may be in it.
    fn range(&self) -> (String, String) {
        // '~' comes after every character of a sort key.
        let to = self.to.map_or_else(|| "~".to_owned(), keys::due_before);
        (keys::due_before(self.from.unwrap_or(Hour::EPOCH.start())), to)
    }

    fn holds(&self, payment: &Payment) -> bool {
        self.status.is_none_or(|status| status == payment.status)
            && self.processor.is_none_or(|processor| processor == payment.processor)
    }
}

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentPage {
    /// The payments.
    pub payments: Vec<Payment>,
    /// Where the next part begins. There may be one although nothing is left that the filter lets through.
    pub next: Option<String>,
}

impl Store {
    /// A customer's payments, newest first, at most `limit`. `after` is the `next` of the page before.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn payments_of(
        &self,
        customer: &Id,
        filter: &PaymentFilter,
        limit: u16,
        after: Option<String>,
    ) -> Result<PaymentPage, StoreError> {
        let (mut payments, mut start): (Vec<Payment>, _) = (Vec::new(), after);
        let wanted = usize::from(limit.max(1));
        for _ in 0..MAX_ROUNDS {
            let (names, more) = self.payment_names(customer, filter, limit, start.as_deref()).await?;
            let keys = names.iter().filter_map(|name| name.split_once('#')).filter_map(|(_, id)| Id::new(id).ok());
            let keys = keys.map(|id| (keys::payment(&id), keys::PAYMENT.to_owned())).collect();
            let items = self.get_many(Area::Other, keys).await?;
            let found: HashMap<String, Payment> = items.iter().map(by_name).collect::<Result<_, _>>()?;
            for name in &names {
                start = Some(name.clone());
                payments.extend(found.get(name).filter(|payment| filter.holds(payment)).cloned());
                if payments.len() == wanted {
                    let next = start.filter(|last| more || names.last() != Some(last));
                    return Ok(PaymentPage { payments, next });
                }
            }
            if !more {
                return Ok(PaymentPage { payments, next: None });
            }
        }
        Ok(PaymentPage { payments, next: start })
    }

    /// Sort keys of the index, newest first, and whether there are more.
    async fn payment_names(
        &self,
        customer: &Id,
        filter: &PaymentFilter,
        limit: u16,
        after: Option<&str>,
    ) -> Result<(Vec<String>, bool), StoreError> {
        let pk = keys::payments_of(customer);
        let (from, to) = filter.range();
        let start = after.map(|sk| HashMap::from([(PK.to_owned(), s(&pk)), (SK.to_owned(), s(sk))]));
        let query = Query::new(Area::Other, pk, Span::Between(from, to)).newest_first().limit(limit);
        let (items, next) = self.query(&query, start).await?;
        let names = items.iter().filter_map(|item| text(item, SK).map(str::to_owned)).collect();
        Ok((names, next.is_some()))
    }
}

fn by_name(item: &Item) -> Result<(String, Payment), StoreError> {
    let (payment, _) = read_document::<Payment>(item)?;
    Ok((keys::payment_of(&payment), payment))
}
