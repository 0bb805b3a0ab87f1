//! Those who had themselves deleted, and of whom others still keep something: cards saved at a processor. The note is written
//! with the deletion, in one transaction, so that nobody is forgotten; it goes with the last of what was theirs to choose.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, s, text};
use crate::keys::{self, PK, SK};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use domain::payment::Processor;
use domain::{Id, Unit};
use std::collections::HashMap;

impl Store {
    /// Action: note that somebody left.
    pub(crate) fn departed_action(&self, user: &Id) -> Result<TransactWriteItem, StoreError> {
        let item = HashMap::from([(PK.to_owned(), s(keys::DEPARTED)), (SK.to_owned(), s(user.as_str()))]);
        let put = Put::builder().table_name(&self.tables().main).set_item(Some(item)).build();
        Ok(TransactWriteItem::builder().put(put.map_err(|e| StoreError::Invalid(e.to_string()))?).build())
    }

    /// One stretch of those who left.
    ///
    /// # Errors
    /// DynamoDB's, or a note that cannot be read.
    pub async fn departed_list(&self, start: Option<Item>) -> Result<(Vec<Id>, Option<Item>), StoreError> {
        let (items, next) = self.query_page(Area::Identity, keys::DEPARTED, start).await?;
        let user = |item: &Item| {
            let sk = text(item, SK).unwrap_or("?");
            Id::new(sk).map_err(|e| StoreError::Corrupt(format!("{} {sk}", keys::DEPARTED), e.to_string()))
        };
        Ok((items.iter().map(user).collect::<Result<_, _>>()?, next))
    }

    /// Where the last run through them stopped, for [`Store::departed_list`]; `None` at the beginning.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn departed_mark(&self) -> Result<Option<Item>, StoreError> {
        self.mark(keys::DEPARTED).await
    }

    /// Notes after whom a run stopped; `None` at the end.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn departed_mark_set(&self, after: Option<&Id>) -> Result<(), StoreError> {
        self.mark_set(keys::DEPARTED, after.map(Id::to_string)).await
    }

    /// Nobody else keeps anything of them any more: their thresholds, their top-up, the processors' names for them and the note
    /// go, at once.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn departed_settle(&self, user: &Id) -> Result<(), StoreError> {
        let theirs = [
            (keys::alerts(user), keys::ALERTS.to_owned()),
            (keys::top_up(user), keys::TOP_UP.to_owned()),
            (keys::WATCH.to_owned(), keys::watched(user, Unit::Usd)),
            (keys::WATCH.to_owned(), keys::watched(user, Unit::Token)),
            (keys::processor_customer(user), Processor::Stripe.as_str().to_owned()),
            (keys::processor_customer(user), Processor::Paypal.as_str().to_owned()),
            (keys::DEPARTED.to_owned(), user.as_str().to_owned()),
        ];
        let actions = theirs.into_iter().map(|key| self.drop_action(key)).collect::<Result<Vec<_>, _>>()?;
        self.transact(Area::Identity, actions).await
    }
}
