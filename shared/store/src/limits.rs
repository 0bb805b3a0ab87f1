//! Rate limits: a counter for each bucket and window of time, which expires with it.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{n, number, s};
use crate::keys::{self, PK, SK, TTL};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::Timestamp;

/// So much in so long a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted: an action and whom it is counted for. Personal data comes hashed.
    pub bucket: String,
    /// Times it may happen in a window.
    pub most: u32,
    /// Length of a window, in seconds; windows begin at multiples of it.
    pub per_secs: i64,
}

impl Limit {
    /// The number of the window `now` is in, and when that ends.
    fn window(&self, now: Timestamp) -> (i64, i64) {
        let window = now.secs().div_euclid(self.per_secs.max(1));
        (window, (window + 1) * self.per_secs.max(1))
    }
}

impl Store {
    /// As [`Store::limit_take`], without counting: whether there is room. Calls at the same time may all be told so.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn limit_full(&self, limit: &Limit, now: Timestamp) -> Result<Option<i64>, StoreError> {
        let (window, ends) = limit.window(now);
        let pk = keys::rate(&limit.bucket, limit.per_secs, window);
        let item = self.get(Area::Other, pk, keys::RATE.to_owned()).await?;
        let taken: u32 = item.and_then(|item| number(&item, expr::RATE_TAKEN)).unwrap_or(0);
        Ok((taken >= limit.most).then(|| (ends - now.secs()).max(1)))
    }

    /// Counts one more. `Some` is the number of seconds until the window ends, where it was full already.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn limit_take(&self, limit: &Limit, now: Timestamp) -> Result<Option<i64>, StoreError> {
        let (window, ends) = limit.window(now);
        let update = self
            .client()
            .update_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::rate(&limit.bucket, limit.per_secs, window)))
            .key(SK, s(keys::RATE))
            .update_expression(expr::RATE_TAKE)
            .condition_expression(expr::RATE_ROOM)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":most", n(limit.most))
            .expression_attribute_values(":ttl", n(ends + limit.per_secs))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update.send().await.map_err(|e| classify("UpdateItem", &e)) {
            Ok(answer) => {
                self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
                Ok(None)
            }
            Err(StoreError::Conflict(_)) => Ok(Some((ends - now.secs()).max(1))),
            Err(error) => Err(error),
        }
    }
}
