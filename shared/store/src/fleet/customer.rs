//! A customer's own servers: those that are not closed, and every tenure of one of them.

use super::{FleetPage, FleetTenure, read_tenure};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{Item, read_document};
use crate::keys;
use crate::query::{Query, Span};
use domain::Id;
use domain::plan::CustomerRates;
use domain::run::shard_of;

impl Store {
    /// One stretch of a customer's tenures that are not closed, by server.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_customer(&self, customer: &Id, start: Option<Item>) -> Result<FleetPage, StoreError> {
        let own = Span::Begins(keys::fleet_customer(customer));
        let query = Query::new(Area::Registry, keys::fleet(shard_of(customer)), own);
        let (items, next) = self.query(&query, start).await?;
        let tenures = items.iter().map(read_tenure).collect::<Result<_, _>>()?;
        Ok(FleetPage { tenures, next })
    }

    /// Every tenure a customer has or had of a server, by its beginning; none where the server was never theirs.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_server(&self, customer: &Id, server: &Id) -> Result<Vec<FleetTenure>, StoreError> {
        // Closing moves a tenure from the shard to the server's own partition: read in this order, it is seen at least once.
        let mut tenures: Vec<FleetTenure> = Vec::new();
        for (pk, prefix) in [
            (keys::fleet(shard_of(customer)), keys::fleet_server(customer, server)),
            (keys::server(server), keys::CLOSED_TENURE.to_owned()),
        ] {
            for item in self.query_whole(&Query::new(Area::Registry, pk, Span::Begins(prefix))).await? {
                let tenure = read_tenure(&item)?;
                let known = tenures.iter().any(|held| held.tenure == tenure.tenure);
                if !known && tenure.tenure.wallet.customer == *customer {
                    tenures.push(tenure);
                }
            }
        }
        tenures.sort_by_key(|tenure| tenure.tenure.since);
        Ok(tenures)
    }

    /// A customer's own rates and discount, if there are any.
    ///
    /// # Errors
    /// DynamoDB's, or rates that cannot be read.
    pub async fn rates_get(&self, customer: &Id) -> Result<Option<CustomerRates>, StoreError> {
        let item = self.get(Area::Registry, keys::rates(shard_of(customer)), customer.to_string()).await?;
        item.map(|item| read_document(&item).map(|(rates, _)| rates)).transpose()
    }
}
