//! Answers to requests that carry an idempotency key: claimed before the work, kept after it, for a day.
//!
//! This keeps a client from doing twice what it asks twice. It is not what money depends on: a ledger page has a key of its
//! own, for ever, so a claim that ran out in the middle is taken over and finds the page written.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, number, s, text};
use crate::keys::{self, PK, SK, TTL};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use domain::Timestamp;

/// How long an answer is kept.
pub const ANSWER_KEPT_SECS: i64 = 86_400;
/// How long a claim holds: longer than any request may take.
pub const CLAIM_SECS: i64 = 60;
/// Longest answer that is kept, in bytes; DynamoDB's bound for an item is 400 KB.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Attribute: hash of the first request's body.
const BODY: &str = "body";
/// Attribute: until when the claim holds.
const UNTIL: &str = "until";
/// Attribute: status of the answer; missing while the work goes on.
const STATUS: &str = "status";
/// Attribute: the answer.
const ANSWER: &str = "answer";

/// Which request: whose, and what it does under which key of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks.
    pub caller: String,
    /// SHA-256 of method, path and the client's key, in hex: any text becomes a short one.
    pub request: String,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody did this yet: do it, then keep the answer.
    New,
    /// It was done: this was the answer.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
    /// Somebody is at it.
    InFlight,
    /// The key stands for a request with another body.
    OtherBody,
}

impl Store {
    /// Claims a request. A claim that ran out, or an answer that is too old, is taken over.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn answer_claim(
        &self,
        request: &RequestKey,
        body_hash: &str,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let update = self
            .answer_update(request)
            .update_expression(expr::ANSWER_CLAIM)
            .condition_expression(expr::ANSWER_FREE)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":body", s(body_hash))
            .expression_attribute_values(":now", n(now.secs()))
            .expression_attribute_values(":until", n(now.plus_secs(CLAIM_SECS).secs()))
            .expression_attribute_values(":ttl", n(now.plus_secs(ANSWER_KEPT_SECS).secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(answer) => {
                self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
                Ok(Claimed::New)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(failed.item().map_or(Claimed::InFlight, |held| held_claim(held, body_hash)))
                }
                Some(e) if e.code() == Some("TransactionConflictException") => Ok(Claimed::InFlight),
                _ => Err(classify("UpdateItem", &error)),
            },
        }
    }

    /// Keeps the answer of a claimed request.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn answer_keep(&self, request: &RequestKey, status: u16, answer: &str) -> Result<(), StoreError> {
        let update = self
            .answer_update(request)
            .update_expression(expr::ANSWER_KEEP)
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":status", n(status))
            .expression_attribute_values(":answer", s(answer));
        self.answer_send(update).await
    }

    /// Ends a claim whose work may be done in part: the same body may take it over at once, another one may not.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn answer_let_go(&self, request: &RequestKey) -> Result<(), StoreError> {
        let update = self
            .answer_update(request)
            .update_expression(expr::ANSWER_LET_GO)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_values(":ended", n(0));
        self.answer_send(update).await
    }

    fn answer_update(&self, request: &RequestKey) -> UpdateItemFluentBuilder {
        self.client()
            .update_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::answer(request)))
            .key(SK, s(keys::ANSWER))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    async fn answer_send(&self, update: UpdateItemFluentBuilder) -> Result<(), StoreError> {
        let answer = update.send().await.map_err(|e| classify("UpdateItem", &e))?;
        self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
        Ok(())
    }

    /// Gives a claim back: nothing was done.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn answer_release(&self, request: &RequestKey) -> Result<(), StoreError> {
        let delete = self
            .client()
            .delete_item()
            .table_name(&self.tables().main)
            .key(PK, s(keys::answer(request)))
            .key(SK, s(keys::ANSWER))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = delete.send().await.map_err(|e| classify("DeleteItem", &e))?;
        self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
        Ok(())
    }
}

fn held_claim(held: &Item, body_hash: &str) -> Claimed {
    if text(held, BODY) != Some(body_hash) {
        return Claimed::OtherBody;
    }
    match (number(held, STATUS), text(held, ANSWER)) {
        (Some(status), Some(answer)) => Claimed::Answered { status, answer: answer.to_owned() },
        _ => Claimed::InFlight,
    }
}
