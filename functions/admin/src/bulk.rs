//! `POST /admin/custom-credits/bulk`: credits for many users at once.

use crate::acting::Acting;
use crate::fields::Reason;
use crate::posting::{Credit, amount, post};
use crate::transactions::CreditTransaction;
use api::{AmountText, FieldError, IdempotencyKey, Json, Kit, Problem, show};
use axum::extract::State;
use axum::http::StatusCode;
use domain::{Amount, Id, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use store::{By, StoreError};
use utoipa::ToSchema;

/// Rows of one request.
const MAX_ROWS: usize = 100;
/// Seconds after which a request that was not completed may be sent again.
const AGAIN_SECS: i64 = 2;

/// Credits for many.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct BulkCredits {
    /// Up to 100. All are checked before anything is posted.
    #[garde(length(min = 1, max = MAX_ROWS))]
    #[schema(min_items = 1, max_items = 100)]
    rows: Vec<BulkRow>,
}

/// Credits for one user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRow {
    /// To whom.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    user_id: Id,
    /// USD, more than 0, at most 10,000, up to six decimals.
    amount: AmountText,
    /// Why. The customer reads it.
    reason: Reason,
}

/// What became of all rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkCredited {
    /// Rows that are on the ledger.
    posted: usize,
    /// What they sum to, decimal.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$", example = "120.00")]
    total: String,
    /// Always `usd`.
    #[schema(pattern = "^usd$")]
    unit: &'static str,
    /// Each row, in the order of the request.
    results: Vec<RowResult>,
}

/// What became of a row.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowResult {
    /// Whose.
    user_id: String,
    /// `posted`; `conflict` where the request's idempotency key stands for another row there; `refused` where the balance
    /// would leave the ledger's range.
    #[schema(pattern = "^(posted|conflict|refused)$")]
    status: &'static str,
    /// The page on the ledger.
    transaction: Option<CreditTransaction>,
    /// That the wallet is negative all the same, where it is.
    warning: Option<String>,
}

/// A row that was checked.
struct Checked {
    user: Id,
    amount: Amount,
    reason: String,
}

/// Adds credits to up to 100 users. Send an `Idempotency-Key`: should the request not be completed, sending it again posts
/// what is missing, and nothing twice.
#[utoipa::path(
    post, path = "/admin/custom-credits/bulk", tag = "admin", operation_id = "admin_credits_bulk",
    request_body = BulkCredits, responses((status = 200, body = BulkCredited)), security(("bearer" = ["admin"]))
)]
pub async fn add(
    Acting(by): Acting,
    State(kit): State<Kit>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<BulkCredits>,
) -> Result<axum::Json<BulkCredited>, Problem> {
    let rows = check(&kit, body.rows).await?;
    let key = key.unwrap_or_else(|| by.record.to_string());
    let mut results = Vec::with_capacity(rows.len());
    let mut total = Amount::ZERO;
    let mut seen: HashMap<&Id, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let nth = seen.entry(&row.user).or_default();
        let result =
            post_row(&kit, row, *nth, &key, &by).await.map_err(|error| incomplete(&error, index, rows.len()))?;
        *nth += 1;
        if result.transaction.is_some() {
            total = total + row.amount;
        }
        results.push(result);
    }
    let posted = results.iter().filter(|result| result.transaction.is_some()).count();
    Ok(axum::Json(BulkCredited { posted, total: show(total, Unit::Usd), unit: Unit::Usd.as_str(), results }))
}

/// Amounts first, then whether all the users are there: nothing is posted while anything is wrong.
async fn check(kit: &Kit, rows: Vec<BulkRow>) -> Result<Vec<Checked>, Problem> {
    let (mut checked, mut errors) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        match amount(&row.amount) {
            Ok(amount) => checked.push(Checked { user: row.user_id, amount, reason: row.reason.0 }),
            Err(detail) => errors.push(FieldError::body(format!("/rows/{index}/amount"), detail)),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let users: Vec<Id> = checked.iter().map(|row| row.user.clone()).collect();
    let known = kit.store.access_list(&users).await?;
    let unknown = checked.iter().enumerate().filter(|(_, row)| !known.contains_key(&row.user));
    let errors: Vec<FieldError> =
        unknown.map(|(index, _)| FieldError::body(format!("/rows/{index}/user_id"), "there is no such user")).collect();
    if errors.is_empty() { Ok(checked) } else { Err(Problem::fields(errors)) }
}

/// The key is the same for the n-th row of the same user in the same request, wherever it stands: rows that are on the ledger
/// already stay as they are.
async fn post_row(kit: &Kit, row: &Checked, nth: usize, key: &str, by: &By) -> Result<RowResult, StoreError> {
    let key = format!("admin-bulk:{}:{nth}:{}:{key}", by.actor, row.user);
    let credit = Credit { customer: &row.user, amount: row.amount, reason: &row.reason };
    let result =
        |status, transaction, warning| RowResult { user_id: row.user.to_string(), status, transaction, warning };
    match post(&kit.store, credit, &key, by).await {
        Ok(page) => {
            let balance = show(page.after, Unit::Usd);
            let warning = (page.after < Amount::ZERO).then(|| format!("The wallet is negative: {balance} USD."));
            Ok(result("posted", Some(CreditTransaction::new(&page)), warning))
        }
        Err(StoreError::KeyReused(_)) => Ok(result("conflict", None, None)),
        Err(StoreError::Invalid(_)) => Ok(result("refused", None, None)),
        Err(error) => Err(error),
    }
}

/// Not a success, so that the answer is not kept and the request can be completed under the same key.
fn incomplete(error: &StoreError, posted: usize, rows: usize) -> Problem {
    tracing::error!(error = %error, posted, rows, "credits for many were not completed");
    let detail = format!("{posted} of {rows} rows were posted. Send the request again with the same Idempotency-Key.");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "incomplete", detail).retry_after(AGAIN_SECS)
}
