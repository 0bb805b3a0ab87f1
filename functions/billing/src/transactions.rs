//! `GET /billing/transactions`: pages of all wallets, newest first.

use crate::cursor::Position;
use crate::dates::{MAX_TIME_BYTES, Span};
use crate::merge::{Merge, Next, lanes_in};
use crate::transaction::{KindName, Transaction, id_of};
use api::{Caller, Kit, Paged, Problem, Query, default_limit};
use axum::Json;
use axum::extract::State as With;
use domain::wallet::{Kind, Page};
use domain::{Id, Unit};
use garde::Validate;
use serde::Deserialize;
use store::Store;
use utoipa::ToSchema;

/// Pages that are read ahead where a filter leaves most of them out.
const FILTER_AHEAD: u32 = 128;
/// Longest text that is searched for, in bytes.
const MAX_SEARCH_BYTES: usize = 100;

/// A unit in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnitName {
    /// USD credits.
    Usd,
    /// Tokens.
    Token,
}

impl UnitName {
    /// As the ledger calls it.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Usd => Unit::Usd,
            Self::Token => Unit::Token,
        }
    }
}

/// What to list.
#[derive(Clone, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TransactionParams {
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
    /// Only of this wallet.
    #[garde(skip)]
    #[param(inline)]
    unit: Option<UnitName>,
    /// Only of this lane; 0 is the first.
    #[garde(skip)]
    lane: Option<u16>,
    /// Posted at or after this date or time, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-01")]
    from: Option<String>,
    /// Posted on or before this date, or before this time, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-30")]
    to: Option<String>,
    /// Only where reason, reference, actor, id or a server's name has this in it, in any case.
    #[garde(length(max = MAX_SEARCH_BYTES))]
    #[param(max_length = 100)]
    search: Option<String>,
}

/// Which pages a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Posted when.
    pub span: Span,
    /// Of which kind.
    pub kind: Option<Kind>,
    /// With which text, lower case.
    pub search: Option<String>,
}

impl Filter {
    /// Whether pages are left out one by one.
    #[must_use]
    pub fn is_picky(&self) -> bool {
        self.kind.is_some() || self.search.is_some()
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.is_picky() && self.span == Span::default()
    }

    /// Whether a page is shown.
    #[must_use]
    pub fn shows(&self, page: &Page) -> bool {
        self.kind.is_none_or(|kind| kind == page.kind) && self.search.as_deref().is_none_or(|text| has(page, text))
    }
}

fn has(page: &Page, text: &str) -> bool {
    let has = |field: &str| field.to_lowercase().contains(text);
    let fields = [&page.reason, &page.reference, &page.actor];
    fields.into_iter().flatten().any(|field| has(field))
        || has(&id_of(&page.wallet, page.seq))
        || page.lines.iter().any(|line| has(line.server.as_str()))
}

/// Which of a customer's chains a list is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chains {
    /// One wallet.
    pub unit: Option<Unit>,
    /// One lane.
    pub lane: Option<u16>,
}

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
    limit: u32,
) -> Result<Option<Paged<Transaction>>, Problem> {
    let (mut data, mut skipped) = (Vec::new(), 0);
    let limit = usize::try_from(limit).unwrap_or(1);
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
    get, path = "/billing/transactions", tag = "billing", operation_id = "transactions", params(TransactionParams),
    responses((status = 200, body = Paged<Transaction>)), security(("bearer" = []))
)]
pub async fn list(
    With(kit): With<Kit>,
    caller: Caller,
    Query(params): Query<TransactionParams>,
) -> Result<Json<Paged<Transaction>>, Problem> {
    let filter = Filter {
        span: Span::parse(params.from.as_deref(), params.to.as_deref())?,
        kind: params.kind.map(KindName::kind),
        search: params.search.map(|text| text.to_lowercase()),
    };
    let position = Position::read(params.cursor.as_deref())?;
    let ahead = if filter.is_picky() { FILTER_AHEAD } else { params.limit };
    let chains = Chains { unit: params.unit.map(UnitName::unit), lane: params.lane };
    let pages = open(&kit.store, &caller.user, chains, filter.span, position.as_ref(), ahead).await?;
    page_of(pages, &filter, 0, params.limit).await?.map(Json).ok_or_else(Problem::not_found)
}
