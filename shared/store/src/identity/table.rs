//! Reading and writing items of `identity`; always consistently.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, s};
use crate::keys::{PK, SK};
use crate::query::{Query, Span};
use aws_sdk_dynamodb::types::{Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem};
use std::collections::HashMap;

/// Rounds of a batch read for keys DynamoDB left over.
const BATCH_GET_ROUNDS: usize = 8;

impl Store {
    pub(super) async fn identity_get(&self, pk: String, sk: String) -> Result<Option<Item>, StoreError> {
        let request = self
            .client()
            .get_item()
            .table_name(&self.tables().identity)
            .key(PK, s(pk))
            .key(SK, s(sk))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("GetItem", &e))?;
        self.capacity().read(Area::Identity, answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    /// A few items at once; missing ones are left out, the order is not kept.
    pub(super) async fn identity_get_few(&self, keys: Vec<(String, String)>) -> Result<Vec<Item>, StoreError> {
        let keys = keys.into_iter().map(|(pk, sk)| HashMap::from([(PK.to_owned(), s(pk)), (SK.to_owned(), s(sk))]));
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true).build();
        let wanted = wanted.map_err(|e| StoreError::Invalid(e.to_string()))?;
        let mut left = Some(HashMap::from([(self.tables().identity.clone(), wanted)]));
        let mut found = Vec::new();
        for _ in 0..BATCH_GET_ROUNDS {
            let Some(wanted) = left.take() else { return Ok(found) };
            let request = self.client().batch_get_item().set_request_items(Some(wanted));
            let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = request.send().await.map_err(|e| classify("BatchGetItem", &e))?;
            self.capacity().read(Area::Identity, answer.consumed_capacity());
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            left = answer.unprocessed_keys.filter(|keys| !keys.is_empty());
        }
        if left.is_none() {
            return Ok(found);
        }
        let detail = "keys were left over after all rounds".to_owned();
        Err(StoreError::Unavailable { operation: "BatchGetItem", detail })
    }

    /// The items of a partition whose sort key begins so, ascending.
    pub(super) async fn identity_query(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, StoreError> {
        self.query_whole(&Query::identity(pk, Span::Begins(prefix.to_owned()))).await
    }

    /// Puts an item: new, over a revision, or (`OverAny`) whatever was there.
    pub(super) async fn identity_put(&self, item: Item, over: Over) -> Result<(), StoreError> {
        let request = self.client().put_item().table_name(&self.tables().identity).set_item(Some(item));
        let request = match over {
            Over::Nothing => request.condition_expression(expr::NOT_EXISTS),
            Over::Rev(rev) => request.condition_expression(expr::SAME_REV).expression_attribute_values(":rev", n(rev)),
            Over::Any => request,
        };
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("PutItem", &e))?;
        self.capacity().wrote(Area::Identity, answer.consumed_capacity.as_slice());
        Ok(())
    }

    pub(super) fn identity_put_action(&self, item: Item, over: Over) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.tables().identity).set_item(Some(item));
        let put = match over {
            Over::Nothing => put.condition_expression(expr::NOT_EXISTS),
            Over::Rev(rev) => put.condition_expression(expr::SAME_REV).expression_attribute_values(":rev", n(rev)),
            Over::Any => put,
        };
        let put = put.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Action: delete what must be there, or (without `must`) whatever is.
    pub(super) fn identity_delete_action(
        &self,
        pk: String,
        sk: String,
        must: bool,
    ) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.tables().identity).key(PK, s(pk)).key(SK, s(sk));
        let delete = if must { delete.condition_expression(expr::EXISTS) } else { delete };
        let delete = delete.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    pub(super) async fn identity_delete(&self, pk: String, sk: String) -> Result<(), StoreError> {
        let request = self
            .client()
            .delete_item()
            .table_name(&self.tables().identity)
            .key(PK, s(pk))
            .key(SK, s(sk))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("DeleteItem", &e))?;
        self.capacity().wrote(Area::Identity, answer.consumed_capacity.as_slice());
        Ok(())
    }
}

/// What a put may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Nothing: it is new.
    Nothing,
    /// That revision.
    Rev(u32),
    /// Anything.
    Any,
}
