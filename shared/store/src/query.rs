//! Reading a partition stretch by stretch: what the lists of `main` and `identity` have in common. Always consistently.
//! The ledger's chains are read in `wallet.rs` and `balance.rs`, by number.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, s};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

/// Stretches that [`Store::query_whole`] reads, up to a megabyte each: far more than what is read whole has.
const MAX_STRETCHES: usize = 1_000;

/// Which items of a partition, by sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// All.
    All,
    /// Those that begin so.
    Begins(String),
    /// Those before.
    Before(String),
    /// Those after.
    After(String),
    /// Those from one to the other, both included.
    Between(String, String),
}

/// What is read of a partition: all of it, oldest first, where nothing else is said.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    area: Area,
    of_identity: bool,
    pk: String,
    span: Span,
    newest_first: bool,
    limit: Option<usize>,
}

/// Items, and where to go on.
pub(crate) type Items = (Vec<Item>, Option<Item>);

impl Query {
    /// Of a partition of `main`.
    pub fn new(area: Area, pk: impl Into<String>, span: Span) -> Self {
        Self { area, of_identity: false, pk: pk.into(), span, newest_first: false, limit: None }
    }

    /// Of a partition of `identity`.
    pub fn identity(pk: impl Into<String>, span: Span) -> Self {
        Self { of_identity: true, ..Self::new(Area::Identity, pk, span) }
    }

    pub fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }

    /// At most so many items in one read.
    pub fn limit(self, limit: impl Into<usize>) -> Self {
        Self { limit: Some(limit.into()), ..self }
    }
}

impl Store {
    /// Reads one stretch, up to a megabyte.
    pub(crate) async fn query(&self, query: &Query, start: Option<Item>) -> Result<Items, StoreError> {
        let Query { area, of_identity, pk, span, newest_first, limit } = query;
        let table = if *of_identity { &self.tables().identity } else { &self.tables().main };
        let request = self.client().query().table_name(table).expression_attribute_values(":pk", s(pk));
        let request = match span {
            Span::All => request.key_condition_expression(expr::IN_PARTITION),
            Span::Begins(prefix) => request
                .key_condition_expression(expr::IN_PARTITION_BEGINS)
                .expression_attribute_values(":prefix", s(prefix)),
            Span::Before(before) => request
                .key_condition_expression(expr::IN_PARTITION_BEFORE)
                .expression_attribute_values(":before", s(before)),
            Span::After(from) => {
                request.key_condition_expression(expr::IN_PARTITION_AFTER).expression_attribute_values(":from", s(from))
            }
            Span::Between(from, to) => request
                .key_condition_expression(expr::IN_PARTITION_BETWEEN)
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to)),
        };
        let request = request
            .scan_index_forward(!newest_first)
            .set_limit(limit.map(|limit| i32::try_from(limit.max(1)).unwrap_or(i32::MAX)))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(*area, answer.consumed_capacity.as_slice());
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    /// Reads one stretch of a partition of `main`.
    pub(crate) async fn query_page(&self, area: Area, pk: &str, start: Option<Item>) -> Result<Items, StoreError> {
        self.query(&Query::new(area, pk, Span::All), start).await
    }

    /// Reads a whole, small partition of `main`.
    pub(crate) async fn query_all(&self, area: Area, pk: &str) -> Result<Vec<Item>, StoreError> {
        self.query_whole(&Query::new(area, pk, Span::All)).await
    }

    /// Reads all stretches.
    pub(crate) async fn query_whole(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        let (mut all, mut start) = (Vec::new(), None);
        for _ in 0..MAX_STRETCHES {
            let (items, next) = self.query(query, start).await?;
            all.extend(items);
            if next.is_none() {
                return Ok(all);
            }
            start = next;
        }
        let detail = format!("{} has more than is read at once", query.pk);
        Err(StoreError::Unavailable { operation: "Query", detail })
    }
}
