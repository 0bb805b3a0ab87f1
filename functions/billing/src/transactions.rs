//! `GET /billing/transactions`: pages of all wallets, newest first.

use crate::filter::{ChainParams, Chains, Filter, PageFilterParams};
use crate::transaction::Transaction;
use api::dates::{Span, SpanParams};
use api::ledger::Position;
use api::ledger::{Merge, Next, lanes_in};
use api::{Caller, Kit, PageParams, Paged, Problem, Queries};
use axum::Json;
use axum::extract::State as With;
use domain::Id;
use store::Store;

/// Pages that are read ahead where a filter leaves most of them out.
const FILTER_AHEAD: u32 = 128;

/// Opens a list: at the cursor, or at the newest pages.
///
/// # Errors
/// 400 for a cursor that is none, 422 for too many lanes; the store's.
pub async fn open<'a>(
    store: &'a Store,
    customer: &Id,
    chains: Chains,
    span: Span,
    position: Option<&Position>,
    ahead: u32,
) -> Result<Merge<'a>, Problem> {
    if let Some(position) = position {
        return Ok(Merge::new(store, position.lanes_of(customer), ahead));
    }
    let mut balances = match chains.unit {
        Some(unit) => vec![store.wallet_balance(customer, unit).await?],
        None => store.wallet_balances(customer).await?.into(),
    };
    if let Some(lane) = chains.lane {
        balances.iter_mut().for_each(|balance| balance.heads.retain(|(wallet, _)| wallet.lane == lane));
    }
    Ok(Merge::new(store, lanes_in(store, &balances, span).await?, ahead))
}

/// One page of a list, after `skip` rows that are shown elsewhere. `None`: that many rows are more than one request
/// reads.
///
/// # Errors
/// As [`open`].
pub async fn page_of(
    mut pages: Merge<'_>,
    filter: &Filter,
    skip: usize,
    limit: usize,
) -> Result<Option<Paged<Transaction>>, Problem> {
    let (mut data, mut skipped) = (Vec::new(), 0);
    while data.len() < limit {
        match pages.next().await? {
            Next::Page(page) if !filter.shows(&page) => {}
            Next::Page(_) if skipped < skip => skipped += 1,
            Next::Page(page) => data.push(Transaction::of(&page)),
            Next::End => break,
            Next::Enough if skipped < skip => return Ok(None),
            Next::Enough => break,
        }
    }
    let next_cursor = pages.position(0).write()?;
    Ok(Some(Paged { data, next_cursor }))
}

/// What was posted to the wallets, newest first. With a filter a page may have fewer rows than asked for and still a
/// cursor.
#[utoipa::path(
    get, path = "/billing/transactions", tag = "billing", operation_id = "transactions",
    params(PageParams, ChainParams, PageFilterParams, SpanParams),
    responses((status = 200, body = Paged<Transaction>)), security(("bearer" = []))
)]
pub async fn list(
    With(kit): With<Kit>,
    caller: Caller,
    Queries((page, chains, filter, span)): Queries<(PageParams, ChainParams, PageFilterParams, SpanParams)>,
) -> Result<Json<Paged<Transaction>>, Problem> {
    let filter = filter.filter(&span)?;
    let position = Position::read(page.cursor.as_deref())?;
    let ahead = if filter.is_picky() { FILTER_AHEAD } else { page.limit };
    let pages = open(&kit.store, &caller.user, chains.chains(), filter.span, position.as_ref(), ahead).await?;
    page_of(pages, &filter, 0, page.rows()).await?.map(Json).ok_or_else(Problem::not_found)
}
