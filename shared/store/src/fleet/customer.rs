//! A customer's own servers: those that are not closed, and every tenure of one of them.

use super::{FleetPage, FleetTenure, read_tenure};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, read_document, s};
use crate::keys;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::Id;
use domain::plan::CustomerRates;
use domain::run::shard_of;

/// Reads of one server's tenures: a server changes hands a few times, and a read holds thousands.
const MAX_READS: usize = 8;

impl Store {
    /// One stretch of a customer's tenures that are not closed, by server.
    ///
    /// # Errors
    /// DynamoDB's, or a tenure that cannot be read.
    pub async fn fleet_customer(&self, customer: &Id, start: Option<Item>) -> Result<FleetPage, StoreError> {
        let (pk, prefix) = (keys::fleet(shard_of(customer)), keys::fleet_customer(customer));
        let (items, next) = self.tenures_with(pk, prefix, start).await?;
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
            let mut start = None;
            for _ in 0..MAX_READS {
                let (items, next) = self.tenures_with(pk.clone(), prefix.clone(), start).await?;
                for item in &items {
                    let tenure = read_tenure(item)?;
                    let known = tenures.iter().any(|held| held.tenure == tenure.tenure);
                    if !known && tenure.tenure.wallet.customer == *customer {
                        tenures.push(tenure);
                    }
                }
                start = next;
                if start.is_none() {
                    break;
                }
            }
            if start.is_some() {
                let detail = format!("server {server} has more tenures than are read");
                return Err(StoreError::Unavailable { operation: "Query", detail });
            }
        }
        tenures.sort_by_key(|tenure| tenure.tenure.since);
        Ok(tenures)
    }

    async fn tenures_with(
        &self,
        pk: String,
        prefix: String,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let request = self
            .client()
            .query()
            .table_name(&self.tables().main)
            .key_condition_expression(expr::IN_PARTITION_BEGINS)
            .expression_attribute_values(":pk", s(pk))
            .expression_attribute_values(":prefix", s(prefix))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Registry, answer.consumed_capacity.as_slice());
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
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
