//! Reading and building items: documents with a revision, and the few plain attributes.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::keys::{DOC, PK, REV, SK};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, KeysAndAttributes, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// An item as the SDK knows it.
pub type Item = HashMap<String, AttributeValue>;

/// Keys of one `BatchGetItem`, DynamoDB's bound.
pub const BATCH_GET_KEYS: usize = 100;
/// Rounds of a batch read for keys DynamoDB left over.
const BATCH_GET_ROUNDS: usize = 8;

/// Text.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Number.
pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The text of an attribute.
pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// The number of an attribute.
pub fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok())
}

/// A document with its key and its revision.
pub fn document<T: Serialize>(pk: String, sk: String, rev: u32, doc: &T) -> Result<Item, StoreError> {
    let json = serde_json::to_string(doc).map_err(|e| StoreError::Corrupt(format!("{pk} {sk}"), e.to_string()))?;
    Ok(HashMap::from([
        (PK.to_owned(), s(pk)),
        (SK.to_owned(), s(sk)),
        (REV.to_owned(), n(rev)),
        (DOC.to_owned(), s(json)),
    ]))
}

/// Undoes [`document`].
pub fn read_document<T: DeserializeOwned>(item: &Item) -> Result<(T, u32), StoreError> {
    let place = || format!("{} {}", text(item, PK).unwrap_or("?"), text(item, SK).unwrap_or("?"));
    let json = text(item, DOC).ok_or_else(|| StoreError::Corrupt(place(), "it has no document".to_owned()))?;
    let doc = serde_json::from_str(json).map_err(|e| StoreError::Corrupt(place(), e.to_string()))?;
    Ok((doc, number(item, REV).unwrap_or(0)))
}

impl Store {
    /// Reads one item of `main`, consistently.
    pub(crate) async fn get(&self, area: Area, pk: String, sk: String) -> Result<Option<Item>, StoreError> {
        let request = self
            .client()
            .get_item()
            .table_name(&self.tables().main)
            .key(PK, s(pk))
            .key(SK, s(sk))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("GetItem", &e))?;
        self.capacity().read(area, answer.consumed_capacity.as_slice());
        Ok(answer.item)
    }

    /// Reads many items of `main`, consistently. Missing ones are left out; the order is not kept.
    pub(crate) async fn get_many(&self, area: Area, keys: Vec<(String, String)>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH_GET_KEYS) {
            let keys = chunk.iter().map(|(pk, sk)| HashMap::from([(PK.to_owned(), s(pk)), (SK.to_owned(), s(sk))]));
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys.collect())).consistent_read(true).build();
            let wanted = wanted.map_err(|e| StoreError::Invalid(e.to_string()))?;
            let mut left = Some(HashMap::from([(self.tables().main.clone(), wanted)]));
            for _ in 0..BATCH_GET_ROUNDS {
                let Some(wanted) = left.take() else { break };
                let request = self.client().batch_get_item().set_request_items(Some(wanted));
                let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = request.send().await.map_err(|e| classify("BatchGetItem", &e))?;
                self.capacity().read(area, answer.consumed_capacity());
                found.extend(answer.responses.unwrap_or_default().into_values().flatten());
                left = answer.unprocessed_keys.filter(|keys| !keys.is_empty());
            }
            if left.is_some() {
                let detail = "keys were left over after all rounds".to_owned();
                return Err(StoreError::Unavailable { operation: "BatchGetItem", detail });
            }
        }
        Ok(found)
    }

    /// Puts one item into `main`: new if `old_rev` is `None`, else only over that revision.
    pub(crate) async fn put(&self, area: Area, item: Item, old_rev: Option<u32>) -> Result<(), StoreError> {
        let request = self.client().put_item().table_name(&self.tables().main).set_item(Some(item));
        let request = match old_rev {
            None => request.condition_expression(expr::NOT_EXISTS),
            Some(rev) => request.condition_expression(expr::SAME_REV).expression_attribute_values(":rev", n(rev)),
        };
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("PutItem", &e))?;
        self.capacity().wrote(area, answer.consumed_capacity.as_slice());
        Ok(())
    }

    /// Action: put into `main`, new or over a revision.
    pub(crate) fn put_action(&self, item: Item, old_rev: Option<u32>) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.tables().main).set_item(Some(item));
        let put = match old_rev {
            None => put.condition_expression(expr::NOT_EXISTS),
            Some(rev) => put.condition_expression(expr::SAME_REV).expression_attribute_values(":rev", n(rev)),
        };
        let put = put.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Action: delete from `main`, only at a revision.
    pub(crate) fn delete_action(&self, pk: String, sk: String, rev: u32) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables().main)
            .key(PK, s(pk))
            .key(SK, s(sk))
            .condition_expression(expr::SAME_REV)
            .expression_attribute_values(":rev", n(rev))
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Action: delete whatever is there.
    pub(crate) fn drop_action(&self, (pk, sk): (String, String)) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.tables().main).key(PK, s(pk)).key(SK, s(sk));
        let delete = delete.build().map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Writes all or nothing. A failed condition or a conflict on any of them is [`StoreError::Conflict`].
    pub(crate) async fn transact(&self, area: Area, actions: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        let request = self.client().transact_write_items().set_transact_items(Some(actions));
        let request = request.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match request.send().await {
            Ok(answer) => {
                self.capacity().wrote(area, answer.consumed_capacity());
                Ok(())
            }
            Err(e) if e.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception()) => {
                Err(StoreError::Conflict("TransactWriteItems"))
            }
            Err(e) => Err(classify("TransactWriteItems", &e)),
        }
    }
}
