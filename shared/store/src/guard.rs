//! Nothing leaves this process that could change a page. IAM denies updates and deletes on `ledger`, but it cannot demand a
//! condition on a put: this interceptor does. It looks at every request before it is serialised.

use crate::expr::NOT_EXISTS;
use aws_sdk_dynamodb::config::ConfigBag;
use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementInput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemInput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_table::DeleteTableInput;
use aws_sdk_dynamodb::operation::execute_statement::ExecuteStatementInput;
use aws_sdk_dynamodb::operation::execute_transaction::ExecuteTransactionInput;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveInput;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// The interceptor. Holds the ledger's table name.
#[derive(Debug)]
pub struct LedgerGuard {
    /// Name of the ledger table.
    pub ledger: String,
}

#[dyn_dispatch_hint]
impl Intercept for LedgerGuard {
    fn name(&self) -> &'static str {
        "LedgerGuard"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.allows(context.input()) {
            Ok(())
        } else {
            Err("refused: a write to the ledger that is not a put of a new item".into())
        }
    }
}

impl LedgerGuard {
    fn allows(&self, input: &Input) -> bool {
        let is_ledger = |name: Option<&str>| name.is_some_and(|name| name.ends_with(&self.ledger));
        if let Some(put) = input.downcast_ref::<PutItemInput>() {
            return !is_ledger(put.table_name()) || put.condition_expression() == Some(NOT_EXISTS);
        }
        if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
            return transaction.transact_items().iter().all(|item| {
                let put = item.put().is_none_or(|put| {
                    !is_ledger(Some(put.table_name())) || put.condition_expression() == Some(NOT_EXISTS)
                });
                let update = item.update().is_none_or(|update| !is_ledger(Some(update.table_name())));
                let delete = item.delete().is_none_or(|delete| !is_ledger(Some(delete.table_name())));
                put && update && delete
            });
        }
        if let Some(update) = input.downcast_ref::<UpdateItemInput>() {
            return !is_ledger(update.table_name());
        }
        if let Some(delete) = input.downcast_ref::<DeleteItemInput>() {
            return !is_ledger(delete.table_name());
        }
        if let Some(delete) = input.downcast_ref::<DeleteTableInput>() {
            return !is_ledger(delete.table_name());
        }
        // An expiry would delete pages.
        if let Some(expiry) = input.downcast_ref::<UpdateTimeToLiveInput>() {
            return !is_ledger(expiry.table_name());
        }
        if let Some(batch) = input.downcast_ref::<BatchWriteItemInput>() {
            return batch.request_items().is_none_or(|tables| !tables.keys().any(|name| is_ledger(Some(name))));
        }
        // PartiQL could say anything: it is not used at all.
        input.downcast_ref::<ExecuteStatementInput>().is_none()
            && input.downcast_ref::<BatchExecuteStatementInput>().is_none()
            && input.downcast_ref::<ExecuteTransactionInput>().is_none()
    }
}
