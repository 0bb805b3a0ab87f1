//! `GET /billing/custom-credits/transactions`: the USD wallet, by pages with numbers as the system before had them, or
//! by cursor.

use crate::filter::{Chains, PageFilterParams};
use crate::transaction::Transaction;
use crate::transactions::{open, page_of};
use api::dates::SpanParams;
use api::ledger::Position;
use api::{Caller, Kit, NumberParams, Numbered, PageParams, Pagination, Problem, Queries};
use axum::Json;
use axum::extract::State as With;
use domain::Unit;
use serde::Serialize;
use utoipa::ToSchema;

/// Pages of the chain that are read at once where rows are left out or skipped.
const AHEAD: u32 = 128;

/// Transactions of the USD wallet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CreditTransactions {
    data: Vec<Transaction>,
    /// Pass it back for the next page; `null` on the last.
    next_cursor: Option<String>,
    /// `null` where a cursor was given.
    pagination: Option<Pagination>,
}

/// What was posted to the USD wallet, newest first.
#[utoipa::path(
    get, path = "/billing/custom-credits/transactions", tag = "billing", operation_id = "custom_credit_transactions",
    params(NumberParams, PageParams, PageFilterParams, SpanParams),
    responses((status = 200, body = CreditTransactions)), security(("bearer" = []))
)]
pub async fn list(
    With(kit): With<Kit>,
    caller: Caller,
    Queries((number, params, filter, span)): Queries<(NumberParams, PageParams, PageFilterParams, SpanParams)>,
) -> Result<Json<CreditTransactions>, Problem> {
    let filter = filter.filter(&span)?;
    let position = Position::read(params.cursor.as_deref())?;
    let numbered = number.numbered(&params)?;
    let skip = numbered.map_or(0, Numbered::skip);
    let ahead = if filter.is_picky() || skip > 0 { AHEAD } else { params.limit };
    let chains = Chains { unit: Some(Unit::Usd), lane: None };
    let pages = open(&kit.store, &caller.user, chains, filter.span, position.as_ref(), ahead).await?;
    // Chains have no gaps: what is left of them is a number.
    let total = filter.is_none().then(|| pages.left());
    let pagination = numbered.map(|page| page.pagination(total));
    let found = page_of(pages, &filter, skip, params.rows()).await?.ok_or_else(Numbered::too_far)?;
    Ok(Json(CreditTransactions { data: found.data, next_cursor: found.next_cursor, pagination }))
}
