//! Plans, and what single customers pay apart from them.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use domain::Id;
use domain::plan::{CustomerRates, Plan};
use domain::run::shard_of;
use std::collections::HashMap;

/// Own rates of a shard's customers. Most customers have none and no entry.
pub type RatesByCustomer = HashMap<Id, CustomerRates>;

impl Store {
    /// Every plan.
    ///
    /// # Errors
    /// DynamoDB's, or a plan that cannot be read.
    pub async fn plan_list(&self) -> Result<HashMap<Id, Plan>, StoreError> {
        let items = self.query_all(Area::Registry, keys::PLANS).await?;
        items.iter().map(|item| read_document::<Plan>(item).map(|(plan, _)| (plan.id.clone(), plan))).collect()
    }

    /// Stores a plan. Versions are only ever added by callers: an hour is rated with the version in force at it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else changed it meanwhile; DynamoDB's.
    pub async fn plan_put(&self, plan: &Plan) -> Result<(), StoreError> {
        let sorted = plan.versions.is_sorted_by(|a, b| a.from < b.from);
        if plan.versions.is_empty() || !sorted {
            return Err(StoreError::Invalid(format!("plan '{}' needs versions with ascending hours", plan.id)));
        }
        let old = self.get(Area::Registry, keys::PLANS.to_owned(), plan.id.to_string()).await?;
        let old_rev = old.map(|item| read_document::<Plan>(&item)).transpose()?.map(|(_, rev)| rev);
        let item = document(keys::PLANS.to_owned(), plan.id.to_string(), old_rev.unwrap_or(0) + 1, plan)?;
        self.put(Area::Registry, item, old_rev).await
    }

    /// The rates of all customers of a shard.
    ///
    /// # Errors
    /// DynamoDB's, or rates that cannot be read.
    pub async fn rates_list(&self, shard: u8) -> Result<RatesByCustomer, StoreError> {
        let items = self.query_all(Area::Registry, &keys::rates(shard)).await?;
        let mut rates = HashMap::with_capacity(items.len());
        for item in &items {
            let customer = crate::item::text(item, keys::SK).and_then(|sk| Id::new(sk).ok());
            let customer = customer.ok_or_else(|| StoreError::Corrupt(keys::rates(shard), "a key is no id".into()))?;
            rates.insert(customer, read_document(item)?.0);
        }
        Ok(rates)
    }

    /// Stores a customer's rates and discount.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else changed them meanwhile; DynamoDB's.
    pub async fn rates_put(&self, customer: &Id, rates: &CustomerRates) -> Result<(), StoreError> {
        let pk = keys::rates(shard_of(customer));
        let old = self.get(Area::Registry, pk.clone(), customer.to_string()).await?;
        let old_rev = old.map(|item| read_document::<CustomerRates>(&item)).transpose()?.map(|(_, rev)| rev);
        let item = document(pk, customer.to_string(), old_rev.unwrap_or(0) + 1, rates)?;
        self.put(Area::Registry, item, old_rev).await
    }
}
