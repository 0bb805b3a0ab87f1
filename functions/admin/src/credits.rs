//! `POST` and `DELETE /admin/users/{id}/custom-credits`: credits given, and taken away, with the reason.

use crate::acting::Acting;
use crate::fields::Reason;
use crate::posting::{Credit, Credited, amount, credited, post};
use api::{AmountText, IdempotencyKey, Json, Kit, PathId, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use domain::{Amount, Id};
use garde::Validate;
use serde::Deserialize;
use store::By;
use utoipa::ToSchema;

/// How much, and why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct CreditChange {
    /// USD, more than 0, at most 10,000, up to six decimals.
    amount: AmountText,
    /// Why. The customer reads it.
    reason: Reason,
}

/// Adds credits to a user's balance.
#[utoipa::path(
    post, path = "/admin/users/{id}/custom-credits", tag = "admin", operation_id = "admin_credits_add",
    params(("id" = String, Path)), request_body = CreditChange, responses((status = 201, body = Credited)),
    security(("bearer" = ["admin"]))
)]
pub async fn add(
    Acting(by): Acting,
    State(kit): State<Kit>,
    PathId(id): PathId,
    key: IdempotencyKey,
    Json(body): Json<CreditChange>,
) -> Result<(StatusCode, axum::Json<Credited>), Problem> {
    let given = body.amount()?;
    let credited = change(&kit, &by, Credit { customer: &id, amount: given, reason: &body.reason.0 }, key).await?;
    Ok((StatusCode::CREATED, axum::Json(credited)))
}

/// Takes credits from a user's balance, below zero where there are fewer: the answer then has a `warning`.
#[utoipa::path(
    delete, path = "/admin/users/{id}/custom-credits", tag = "admin", operation_id = "admin_credits_remove",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "Names the request: sent again with the same key, it is done once and answered twice."),
    ),
    request_body = CreditChange, responses((status = 200, body = Credited)), security(("bearer" = ["admin"]))
)]
pub async fn remove(
    Acting(by): Acting,
    State(kit): State<Kit>,
    PathId(id): PathId,
    key: IdempotencyKey,
    Json(body): Json<CreditChange>,
) -> Result<axum::Json<Credited>, Problem> {
    let taken = -body.amount()?;
    let credited = change(&kit, &by, Credit { customer: &id, amount: taken, reason: &body.reason.0 }, key).await?;
    Ok(axum::Json(credited))
}

impl CreditChange {
    fn amount(&self) -> Result<Amount, Problem> {
        amount(&self.amount).map_err(|detail| Problem::field("/amount", detail))
    }
}

async fn change(kit: &Kit, by: &By, credit: Credit<'_>, key: IdempotencyKey) -> Result<Credited, Problem> {
    kit.store.access_get(credit.customer).await?.ok_or_else(Problem::not_found)?;
    let page = post(&kit.store, credit, &ledger_key(by, credit.customer, key), by).await?;
    credited(&kit.store, &page).await
}

/// An admin's keys are the admin's own: two of them may well use the same one. Without one this request is its own.
fn ledger_key(by: &By, customer: &Id, IdempotencyKey(key): IdempotencyKey) -> String {
    let (admin, own) = (&by.actor, &by.record);
    key.map_or_else(|| format!("admin:{admin}:{customer}:{own}"), |key| format!("admin:{admin}:{customer}:{key}"))
}
