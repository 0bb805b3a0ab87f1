//! `GET /billing/usage`: what was metered and charged, one record for each line of the ledger, newest pages first.

use crate::filter::ChainParams;
use crate::transactions::open;
use api::dates::{Span, SpanParams};
use api::ledger::Position;
use api::ledger::{Merge, Next};
use api::{Caller, Kit, PageParams, Paged, Problem, Queries, show as text, transaction_id};
use axum::Json;
use axum::extract::State as With;
use domain::explain::Counts;
use domain::plan::Metering;
use domain::wallet::{Kind, Line, Page};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::Store;
use utoipa::ToSchema;

/// Pages that are read ahead: most are usage, and have lines.
const AHEAD: u32 = 32;

/// What to list.
#[derive(Clone, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageParams {
    /// Only of this server.
    #[garde(length(max = 64))]
    #[param(max_length = 64)]
    server: Option<String>,
    /// Only of this type of resource. Servers are the only ones that are metered.
    #[garde(skip)]
    #[param(inline)]
    resource_type: Option<ResourceType>,
    /// Only in this state. What stands on the ledger is billed; there is no other.
    #[garde(skip)]
    #[param(inline)]
    status: Option<UsageStatus>,
}

/// What is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResourceType {
    /// A server.
    Server,
}

/// How far the billing of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageStatus {
    /// It stands on the ledger.
    Billed,
}

/// One unbroken run of billed time of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageRecord {
    /// `server`.
    #[schema(value_type = String, pattern = "^server$")]
    resource_type: ResourceType,
    /// Which one.
    resource_id: String,
    /// How much: hours, or seconds where the plan counts seconds.
    quantity: u32,
    /// `hour` or `second`.
    #[schema(pattern = "^(hour|second)$")]
    quantity_unit: &'static str,
    /// Monthly price it was rated with; an hour costs a part of `hours_per_month` of it.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    rate: String,
    /// Hours a month of price is spread over.
    hours_per_month: u16,
    /// What it cost.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$")]
    cost: String,
    /// Of rate and cost: `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// First hour.
    #[schema(format = DateTime)]
    period_start: String,
    /// The hour after the last.
    #[schema(format = DateTime)]
    period_end: String,
    /// `billed`: it stands on the ledger.
    #[schema(value_type = String, pattern = "^billed$")]
    status: UsageStatus,
    /// Where.
    transaction: String,
}

/// What was used and charged, newest first; `from` and `to` say when it was used. With a filter a page may have fewer rows
/// than asked for and still a cursor.
///
/// With a cursor the other parameters must be the same.
#[utoipa::path(
    get, path = "/billing/usage", tag = "billing", operation_id = "usage",
    params(PageParams, ChainParams, UsageParams, SpanParams),
    responses((status = 200, body = Paged<UsageRecord>)), security(("bearer" = []))
)]
pub async fn list(
    With(kit): With<Kit>,
    caller: Caller,
    Queries((page, chains, params, span)): Queries<(PageParams, ChainParams, UsageParams, SpanParams)>,
) -> Result<Json<Paged<UsageRecord>>, Problem> {
    let span = span.span()?;
    let position = Position::read(page.cursor.as_deref())?;
    // An hour is billed after it has ended, maybe long after: pages before `from` cannot hold it, pages after `to` can.
    let posted = Span { from: span.from, to: None };
    let pages = open(&kit.store, &caller.user, chains.chains(), posted, position.as_ref(), AHEAD).await?;
    let wanted = Wanted { server: params.server, resource_type: params.resource_type, status: params.status, span };
    let skip = position.map_or(0, |position| position.skip);
    records(&kit.store, pages, &wanted, skip, page.rows()).await.map(Json)
}

struct Wanted {
    server: Option<String>,
    resource_type: Option<ResourceType>,
    status: Option<UsageStatus>,
    span: Span,
}

impl Wanted {
    fn has(&self, line: &Line) -> bool {
        // Matched without `_`: what is metered next, or billed later, must be told apart here.
        let of_type = match self.resource_type {
            None | Some(ResourceType::Server) => true,
        };
        let in_state = match self.status {
            None | Some(UsageStatus::Billed) => true,
        };
        of_type
            && in_state
            && self.server.as_deref().is_none_or(|server| line.server.as_str() == server)
            && self.span.from.is_none_or(|from| line.to.start() > from)
            && self.span.to.is_none_or(|to| line.from.start() < to)
    }
}

/// Lines page by page; a page that does not fit goes on with the next request, after `skip` of its lines.
async fn records(
    store: &Store,
    mut pages: Merge<'_>,
    wanted: &Wanted,
    mut skip: u32,
    limit: usize,
) -> Result<Paged<UsageRecord>, Problem> {
    let mut data: Vec<UsageRecord> = Vec::new();
    loop {
        let page = match pages.next().await? {
            Next::Page(page) if page.kind == Kind::Usage => page,
            Next::Page(_) => continue,
            Next::End | Next::Enough => break,
        };
        let mut counts = counts_before(store, &pages, &page).await?;
        let mut shown = 0;
        for line in &page.lines {
            let before = counts.before(&page, line);
            if data.len() == limit {
                break;
            }
            shown += 1;
            if shown > skip && wanted.has(line) {
                data.push(UsageRecord::of(&page, line, before));
            }
        }
        let all = page.lines.len() == usize::try_from(shown).unwrap_or(usize::MAX);
        skip = 0;
        if data.len() == limit {
            if !all {
                pages.give_back(*page);
            }
            let next_cursor = pages.position(if all { 0 } else { shown }).write()?;
            return Ok(Paged { data, next_cursor });
        }
    }
    let next_cursor = pages.position(0).write()?;
    Ok(Paged { data, next_cursor })
}

/// What the page before counted; only seconds need it.
async fn counts_before(store: &Store, pages: &Merge<'_>, page: &Page) -> Result<Counts, Problem> {
    if page.seq == 1 || page.lines.iter().all(|line| line.metering == Metering::Hourly) {
        return Ok(Counts::default());
    }
    if let Some(before) = pages.ahead_of(page) {
        return Ok(Counts::after(before));
    }
    let before = store.wallet_page(&page.wallet, page.seq - 1).await?;
    Ok(before.as_ref().map(Counts::after).unwrap_or_default())
}

impl UsageRecord {
    fn of(page: &Page, line: &Line, secs_before: Option<u32>) -> Self {
        let unit = page.wallet.unit;
        let (quantity, quantity_unit) = match line.metering {
            Metering::Hourly => (line.hours(), "hour"),
            Metering::PerSecond => (line.secs_after.saturating_sub(secs_before.unwrap_or(0)), "second"),
        };
        Self {
            resource_type: ResourceType::Server,
            resource_id: line.server.to_string(),
            quantity,
            quantity_unit,
            rate: line.price.display(unit),
            hours_per_month: line.per,
            cost: text(line.amount, unit),
            unit: unit.as_str(),
            period_start: line.from.to_string(),
            period_end: line.to.to_string(),
            status: UsageStatus::Billed,
            transaction: transaction_id(&page.wallet, page.seq),
        }
    }
}
