//! `GET /billing/custom-credits/transactions`: the USD wallet, by pages with numbers as the system before had them, or
//! by cursor.

use crate::cursor::Position;
use crate::dates::{MAX_TIME_BYTES, Span};
use crate::transaction::{KindName, Transaction};
use crate::transactions::{Chains, Filter, open, page_of};
use api::{Caller, Kit, Problem, Query, default_limit};
use axum::Json;
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::Unit;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Highest page number: beyond, the cursor goes on.
const MAX_PAGE: u32 = 1_000;
/// Pages of the chain that are read at once where rows are left out or skipped.
const AHEAD: u32 = 128;

/// What to list.
#[derive(Clone, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CreditParams {
    /// Number of the page, from 1. Not together with `cursor`.
    #[garde(range(min = 1, max = MAX_PAGE))]
    #[param(minimum = 1, maximum = 1000, default = 1)]
    page: Option<u32>,
    /// Rows, 1 to 100; 20 where it is missing.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before.
    #[garde(skip)]
    cursor: Option<String>,
    /// Only of this kind.
    #[serde(rename = "type")]
    #[garde(skip)]
    #[param(rename = "type", inline)]
    kind: Option<KindName>,
    /// Posted at or after this date or time, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-01")]
    from: Option<String>,
    /// Posted on or before this date, or before this time, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-30")]
    to: Option<String>,
    /// Only where reason, reference, actor, id or a server's name has this in it, in any case.
    #[garde(length(max = 100))]
    #[param(max_length = 100)]
    search: Option<String>,
}

/// Where a numbered page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pagination {
    /// Its number.
    #[schema(minimum = 1)]
    page: u32,
    /// Rows of a page.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// All rows; `null` with a filter, where only reading everything would tell.
    total: Option<u64>,
    /// All pages; `null` as `total`.
    pages: Option<u64>,
}

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
    params(CreditParams),
    responses((status = 200, body = CreditTransactions)), security(("bearer" = []))
)]
pub async fn list(
    With(kit): With<Kit>,
    caller: Caller,
    Query(params): Query<CreditParams>,
) -> Result<Json<CreditTransactions>, Problem> {
    let filter = Filter {
        span: Span::parse(params.from.as_deref(), params.to.as_deref())?,
        kind: params.kind.map(KindName::kind),
        search: params.search.map(|text| text.to_lowercase()),
    };
    let position = Position::read(params.cursor.as_deref())?;
    if position.is_some() && params.page.is_some() {
        return Err(Problem::parameter("page", "give a page or a cursor, not both"));
    }
    let (page, limit) = (params.page.unwrap_or(1), params.limit);
    let skip = usize::try_from((page - 1) * limit).unwrap_or(usize::MAX);
    let ahead = if filter.is_picky() || skip > 0 { AHEAD } else { limit };
    let chains = Chains { unit: Some(Unit::Usd), lane: None };
    let pages = open(&kit.store, &caller.user, chains, filter.span, position.as_ref(), ahead).await?;
    // Chains have no gaps: what is left of them is a number.
    let total = filter.is_none().then(|| pages.left());
    let pagination = position.is_none().then(|| Pagination {
        page,
        limit,
        total,
        pages: total.map(|total| total.div_ceil(u64::from(limit))),
    });
    let found = page_of(pages, &filter, skip, limit).await?.ok_or_else(too_far)?;
    Ok(Json(CreditTransactions { data: found.data, next_cursor: found.next_cursor, pagination }))
}

fn too_far() -> Problem {
    let detail = "That page is too far back to be counted out; go on with `next_cursor`, or narrow the dates.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "page_too_far", detail)
}
