//! `GET /billing/servers/{id}/explain`: every cent of a server's month.

mod view;

use crate::read_pages::read_pages;
use api::dates::month;
use api::{Caller, Kit, PathId, Problem, Query, read_cursor, write_cursor};
use axum::Json;
use axum::extract::State as With;
use domain::explain::{ExplainedLine, Explanation, Origin, RULE, origin};
use domain::plan::{CustomerRates, Plan};
use domain::tenure::WalletId;
use domain::wallet::Page;
use domain::{Id, Month, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use store::{FleetTenure, MAX_SKEW_SECS, Store};
use utoipa::ToSchema;
use view::{CorrectionView, LineView, TotalView};

/// Reads of a chain in one answer, up to a megabyte each: a year of a server that has its wallet to itself.
const MAX_READS: usize = 16;
/// Reversed pages that are looked at in one answer.
const MAX_REVERSED: usize = 100;

/// Which month.
#[derive(Clone, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplainParams {
    /// The month, UTC; the present one where it is missing.
    #[garde(length(max = 20))]
    #[param(max_length = 7, pattern = "^[0-9]{4}-[0-9]{2}$", example = "2026-11")]
    month: Option<String>,
    /// `next_cursor` of the answer before.
    #[garde(skip)]
    cursor: Option<String>,
}

/// A server's month.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExplainView {
    /// The server.
    server: String,
    /// The month of its hours, UTC.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    /// The rule all amounts follow.
    rule: &'static str,
    /// Lines, by chain and page.
    lines: Vec<LineView>,
    /// Adjustments and reversals, by chain and page.
    adjustments: Vec<CorrectionView>,
    /// The sums of this answer.
    totals: Vec<TotalView>,
    /// Whether this answer is the whole month.
    complete: bool,
    /// Where more pages have to be read: pass it back, and add the answers' totals.
    next_cursor: Option<String>,
}

/// Where reading goes on: a chain, the number to go on with, the last number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GoOn {
    unit: Unit,
    lane: u16,
    next: u64,
    last: u64,
}

/// Why a server cost what it did in a month: each line with its numbers, price, formula and page, and what corrected
/// it.
#[utoipa::path(
    get, path = "/billing/servers/{id}/explain", tag = "billing", operation_id = "explain",
    params(
        ("id" = String, Path, description = "The server", max_length = 64, pattern = "^[A-Za-z0-9_-]+$"),
        ExplainParams
    ),
    responses((status = 200, body = ExplainView)), security(("bearer" = []))
)]
pub async fn show(
    With(kit): With<Kit>,
    caller: Caller,
    PathId(server): PathId,
    Query(params): Query<ExplainParams>,
) -> Result<Json<ExplainView>, Problem> {
    let month = params.month.as_deref().map_or_else(|| Ok(kit.clock.now().hour().month()), month)?;
    let cursor: Option<GoOn> = read_cursor(params.cursor.as_deref())?;
    let store = &kit.store;
    let tenures = store.fleet_server(&caller.user, &server).await?;
    if tenures.is_empty() {
        return Err(Problem::not_found());
    }
    let chains = chains_of(&tenures, month);
    let mut found = Explanation::new(server.clone(), month);
    let next = read(store, &chains, month, cursor, &mut found).await?;
    let (plans, rates) = tokio::try_join!(store.plan_list(), store.rates_get(&caller.user))?;
    let prices = Prices { tenures: &tenures, plans: &plans, rates: rates.as_ref() };
    Ok(Json(ExplainView {
        server: server.to_string(),
        month: month.to_string(),
        rule: RULE,
        lines: found.lines.iter().map(|line| LineView::of(line, prices.origin(line))).collect(),
        adjustments: found.corrections.iter().map(CorrectionView::of).collect(),
        totals: found.totals().into_iter().map(|(unit, total)| TotalView::of(unit, total)).collect(),
        complete: cursor.is_none() && next.is_none(),
        next_cursor: next.as_ref().map(write_cursor).transpose()?,
    }))
}

/// The chains that may hold something about the month, with the server's tenures in each.
fn chains_of(tenures: &[FleetTenure], month: Month) -> BTreeMap<WalletId, Vec<&FleetTenure>> {
    let mut chains: BTreeMap<WalletId, Vec<&FleetTenure>> = BTreeMap::new();
    let begun = month.start().start().plus_secs(-MAX_SKEW_SECS);
    let may = |t: &&FleetTenure| t.tenure.since < month.end() && t.closed_at.is_none_or(|closed| closed >= begun);
    for tenure in tenures.iter().filter(may) {
        chains.entry(tenure.tenure.wallet.clone()).or_default().push(tenure);
    }
    chains
}

/// Reads chains from the month's first page on; where that is too much for one answer, says where to go on.
async fn read(
    store: &Store,
    chains: &BTreeMap<WalletId, Vec<&FleetTenure>>,
    month: Month,
    cursor: Option<GoOn>,
    found: &mut Explanation,
) -> Result<Option<GoOn>, Problem> {
    let mut reads = MAX_READS;
    let begin = |wallet: &WalletId| cursor.is_none_or(|at| (wallet.unit, wallet.lane) >= (at.unit, at.lane));
    for (wallet, tenures) in chains.iter().filter(|(wallet, _)| begin(wallet)) {
        let at = cursor.filter(|at| (at.unit, at.lane) == (wallet.unit, wallet.lane));
        let (first, last) = match at {
            Some(at) => (Some(at.next), at.last),
            None => bounds(store, wallet, tenures, month).await?,
        };
        let before = match first {
            Some(first) if first > 1 => store.wallet_page(wallet, first - 1).await?,
            _ => None,
        };
        found.begin(before.as_ref());
        let each = |page: &Page| {
            found.read(page);
            Ok(())
        };
        if let Some(next) = read_pages(store, wallet, first, last, &mut reads, each).await? {
            return Ok(Some(GoOn { unit: wallet.unit, lane: wallet.lane, next, last }));
        }
    }
    for (wallet, seq) in found.reversed_pages().into_iter().take(MAX_REVERSED) {
        if let Some(page) = store.wallet_page(&wallet, seq).await? {
            found.reversed(&page);
        }
    }
    Ok(None)
}

/// The first and the last page of a chain that may speak of the month. An hour is billed after it has ended, and may be
/// corrected as long as its tenure is not closed.
async fn bounds(
    store: &Store,
    wallet: &WalletId,
    tenures: &[&FleetTenure],
    month: Month,
) -> Result<(Option<u64>, u64), Problem> {
    let Some(head) = store.wallet_head(wallet, true).await? else { return Ok((None, 0)) };
    let since = tenures.iter().map(|tenure| tenure.tenure.since).min().unwrap_or(month.start());
    let first = store.wallet_edge(wallet, &head, since.max(month.start()).start()).await?;
    let closed: Option<Vec<_>> = tenures.iter().map(|tenure| tenure.closed_at).collect();
    let last = match closed.and_then(|closed| closed.into_iter().max()) {
        Some(closed) => store.wallet_edge(wallet, &head, closed.plus_secs(2 * MAX_SKEW_SECS)).await? - 1,
        None => head.seq,
    };
    Ok((Some(first), last))
}

/// What prices are told from.
struct Prices<'a> {
    tenures: &'a [FleetTenure],
    plans: &'a HashMap<Id, Plan>,
    rates: Option<&'a CustomerRates>,
}

impl Prices<'_> {
    fn origin(&self, line: &ExplainedLine) -> Option<Origin> {
        let (hour, wallet) = (line.line.from, &line.place.wallet);
        let own = self.tenures.iter().filter(|t| t.tenure.wallet == *wallet && t.tenure.since <= hour);
        let tenure = own.max_by_key(|t| t.tenure.since)?;
        let plan = self.plans.get(tenure.plan.as_str())?;
        origin(plan, &tenure.rates, self.rates, hour, line.line.price)
    }
}
