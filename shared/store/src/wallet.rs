//! The chain of a wallet: read the newest page, append the next one.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK};
use crate::page_codec::{decode_page, encode_page};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use domain::tenure::WalletId;
use domain::wallet::Page;
use std::collections::HashMap;

/// Longest idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The page is on the chain.
    Written,
    /// Another page has that number (or is being written): read the newest page and fold again. Our own write may be the
    /// other one, where its answer was lost: the fold then finds nothing left to do.
    Lost,
}

/// What became of an append with an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOnce {
    /// The page is on the chain.
    Written,
    /// The key's page was already there, with this number, for the same wallet, kind, amount and reference.
    Replayed(u64),
    /// Another page has that number: read the newest page and try again.
    Lost,
}

/// Position of each action of an append with a key: the cancellation reasons come in the same order.
const MARKER: usize = 0;
const PAGE: usize = 1;

impl Store {
    /// The newest page. A stale one is harmless to a fold (its put fails); `consistent` is for every other decision.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn wallet_head(&self, wallet: &WalletId, consistent: bool) -> Result<Option<Page>, StoreError> {
        let request = self.chain(wallet).scan_index_forward(false).limit(1).consistent_read(consistent);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        answer.items().first().map(decode_page).transpose()
    }

    /// One stretch of a chain, oldest first or newest first. Pass the cursor back for the next stretch.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn wallet_pages(
        &self,
        wallet: &WalletId,
        oldest_first: bool,
        start: Option<Item>,
    ) -> Result<(Vec<Page>, Option<Item>), StoreError> {
        let request = self.chain(wallet).scan_index_forward(oldest_first).consistent_read(true);
        let request = request.set_exclusive_start_key(start);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        let pages = answer.items().iter().map(decode_page).collect::<Result<_, _>>()?;
        Ok((pages, answer.last_evaluated_key))
    }

    pub(crate) fn chain(&self, wallet: &WalletId) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(&self.tables().ledger)
            .key_condition_expression(expr::IN_PARTITION)
            .expression_attribute_values(":pk", s(keys::wallet(wallet)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// One stretch of the whole ledger, chains whole and their pages ascending; markers are left out.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn ledger_scan(&self, start: Option<Item>) -> Result<(Vec<Page>, Option<Item>), StoreError> {
        let request = self
            .client()
            .scan()
            .table_name(&self.tables().ledger)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("Scan", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        let is_page = |item: &&Item| text(item, PK).and_then(keys::parse_wallet).is_some();
        let pages = answer.items().iter().filter(is_page).map(decode_page).collect::<Result<_, _>>()?;
        Ok((pages, answer.last_evaluated_key))
    }

    /// Appends a page. The one write is the atomicity, the lock, the balance check and the audit record.
    ///
    /// # Errors
    /// DynamoDB's; whether the page was written is then unknown, and folding again from the newest page finds out.
    pub async fn wallet_append(&self, page: &Page) -> Result<Appended, StoreError> {
        let request = self
            .client()
            .put_item()
            .table_name(&self.tables().ledger)
            .set_item(Some(encode_page(page)?))
            .condition_expression(expr::NOT_EXISTS)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match request.send().await.map_err(|e| classify("PutItem", &e)) {
            Ok(answer) => {
                self.capacity().wrote(Area::Ledger, answer.consumed_capacity.as_slice());
                Ok(Appended::Written)
            }
            Err(StoreError::Conflict(_)) => Ok(Appended::Lost),
            Err(e) => Err(e),
        }
    }

    /// Appends a page together with the marker of its idempotency key, for what the newest page cannot tell apart.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`] where the key stands for another wallet, kind, amount or reference; DynamoDB's.
    pub async fn wallet_append_once(&self, page: &Page, key: &str) -> Result<AppendOnce, StoreError> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(StoreError::Invalid(format!("an idempotency key has 1 to {MAX_KEY_BYTES} bytes")));
        }
        let actions = [marker(page, key), encode_page(page)?].map(|item| self.new_in_ledger(item));
        let actions = actions.into_iter().collect::<Result<Vec<_>, _>>()?;
        let request = self.client().transact_write_items().set_transact_items(Some(actions));
        match request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(answer) => {
                self.capacity().wrote(Area::Ledger, answer.consumed_capacity());
                Ok(AppendOnce::Written)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    why_canceled(canceled.cancellation_reasons(), page, key)
                }
                _ => Err(classify("TransactWriteItems", &error)),
            },
        }
    }

    pub(crate) fn new_in_ledger(&self, item: Item) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables().ledger)
            .set_item(Some(item))
            .condition_expression(expr::NOT_EXISTS)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|e| StoreError::Invalid(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

pub(crate) fn marker(page: &Page, key: &str) -> Item {
    let mut item = HashMap::from([
        (PK.to_owned(), s(keys::key_marker(key))),
        (SK.to_owned(), n(0)),
        ("wallet".to_owned(), s(page.wallet.to_string())),
        ("seq".to_owned(), n(page.seq)),
        ("kind".to_owned(), s(page.kind.as_str())),
        ("amount".to_owned(), n(page.amount.steps())),
    ]);
    if let Some(reference) = &page.reference {
        item.insert("reference".to_owned(), s(reference));
    }
    item
}

/// The marker's reason is read before the page's: where both failed, the key's page has long been written.
pub(crate) fn why_canceled(reasons: &[CancellationReason], page: &Page, key: &str) -> Result<AppendOnce, StoreError> {
    let failed = |index: usize| reasons.get(index).filter(|r| r.code() == Some("ConditionalCheckFailed"));
    if let Some(reason) = failed(MARKER) {
        let held =
            reason.item().ok_or_else(|| StoreError::Corrupt(keys::key_marker(key), "it was not returned".into()))?;
        let same = text(held, "wallet") == Some(page.wallet.to_string().as_str())
            && text(held, "kind") == Some(page.kind.as_str())
            && number(held, "amount") == Some(page.amount.steps())
            && text(held, "reference") == page.reference.as_deref();
        return match number(held, "seq") {
            Some(seq) if same => Ok(AppendOnce::Replayed(seq)),
            _ => Err(StoreError::KeyReused(key.to_owned())),
        };
    }
    if failed(PAGE).is_some() || reasons.iter().any(|r| r.code() == Some("TransactionConflict")) {
        return Ok(AppendOnce::Lost);
    }
    let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
    Err(StoreError::Unavailable { operation: "TransactWriteItems", detail: format!("canceled: {codes:?}") })
}
