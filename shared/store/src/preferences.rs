//! A customer's own thresholds, and automatic top-up. What makes a balance one to be looked at by itself is noted in
//! the same transaction (`WATCH`, see [`crate::LowBalance`]).

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::expr;
use crate::item::{document, read_document};
use crate::keys;
use domain::alerts::{Alerts, TopUp};
use domain::{Id, Unit};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Tries of one change against others of the same customer.
const MAX_TRIES: usize = 4;

impl Store {
    /// A customer's thresholds; the default ones where none were set.
    ///
    /// # Errors
    /// DynamoDB's, or settings that cannot be read.
    pub async fn alerts(&self, customer: &Id) -> Result<Alerts, StoreError> {
        Ok(self.preference(keys::alerts(customer), keys::ALERTS).await?.0)
    }

    /// Sets them; the last word counts. Both units' balances are watched from now on, unless these are the default
    /// ones.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where others change them all the time; DynamoDB's.
    pub async fn alerts_put(&self, customer: &Id, alerts: &Alerts) -> Result<(), StoreError> {
        let own = !alerts.is_default();
        let watch = [(Unit::Usd, expr::WATCH_ALERTS, own), (Unit::Token, expr::WATCH_ALERTS, own)];
        self.preference_put(customer, (keys::alerts(customer), keys::ALERTS), alerts, &watch).await
    }

    /// A customer's automatic top-up; off where none was set.
    ///
    /// # Errors
    /// DynamoDB's, or settings that cannot be read.
    pub async fn top_up(&self, customer: &Id) -> Result<TopUp, StoreError> {
        Ok(self.preference(keys::top_up(customer), keys::TOP_UP).await?.0)
    }

    /// Sets it; the last word counts. While it is on, the USD balance is watched.
    ///
    /// # Errors
    /// As [`Store::alerts_put`].
    pub async fn top_up_put(&self, customer: &Id, top_up: &TopUp) -> Result<(), StoreError> {
        let watch = [(Unit::Usd, expr::WATCH_TOP_UP, top_up.enabled)];
        self.preference_put(customer, (keys::top_up(customer), keys::TOP_UP), top_up, &watch).await
    }

    async fn preference<T: DeserializeOwned + Default>(
        &self,
        pk: String,
        sk: &str,
    ) -> Result<(T, Option<u32>), StoreError> {
        match self.get(Area::Other, pk, sk.to_owned()).await? {
            Some(item) => read_document(&item).map(|(value, rev)| (value, Some(rev))),
            None => Ok((T::default(), None)),
        }
    }

    async fn preference_put<T: Serialize + DeserializeOwned + Default>(
        &self,
        customer: &Id,
        (pk, sk): (String, &str),
        value: &T,
        watch: &[(Unit, &str, bool)],
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_TRIES {
            let (_, rev) = self.preference::<T>(pk.clone(), sk).await?;
            let item = document(pk.clone(), sk.to_owned(), rev.unwrap_or(0) + 1, value)?;
            let mut actions = vec![self.put_action(item, rev)?];
            for (unit, reason, on) in watch {
                actions.push(self.watch_action(customer, *unit, reason, *on)?);
            }
            match self.transact(Area::Other, actions).await {
                Err(StoreError::Conflict(_)) => {}
                other => return other,
            }
        }
        Err(StoreError::Conflict("the settings are being changed by others all the time"))
    }
}
