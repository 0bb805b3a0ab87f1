//! `GET /billing/servers/{id}/explain`: every cent of a server's month.

use crate::dates::month;
use crate::transaction::id_of;
use api::{Caller, Kit, PathId, Problem, Query, read_cursor, show as text, write_cursor};
use axum::Json;
use axum::extract::State as With;
use domain::explain::{Correction, ExplainedLine, Explanation, Origin, Place, RULE, Source, Total, origin};
use domain::plan::{CustomerRates, Metering, Plan};
use domain::tenure::WalletId;
use domain::{Id, Month, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use store::{FleetTenure, MAX_SKEW_SECS, Range, Store};
use utoipa::ToSchema;

/// Reads of a chain in one answer, up to a megabyte each: a year of a server that has its wallet to itself.
const MAX_READS: usize = 16;
/// Pages of one read.
const READ_PAGES: u16 = 1_000;
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

/// A page of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageView {
    /// As `/billing/transactions/{id}` takes it.
    transaction: String,
    /// Its lane.
    lane: u16,
    /// Its number.
    seq: u64,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// When it was posted.
    #[schema(format = DateTime)]
    posted_at: String,
}

/// One hour of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HourView {
    /// Its start.
    #[schema(format = DateTime)]
    hour: String,
    /// Counted in the month before it.
    n_before: u32,
    /// Counted in the month after it.
    n_after: u32,
    /// Its part of the line's amount.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$")]
    amount: String,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineView {
    /// First hour.
    #[schema(format = DateTime)]
    from: String,
    /// The hour after the last.
    #[schema(format = DateTime)]
    to: String,
    /// Hours between them.
    hours: u32,
    /// What `n` counts: `hour`, or `second`.
    #[schema(pattern = "^(hour|second)$")]
    counts: &'static str,
    /// Counted in the month before it; `null` where only an earlier answer's pages tell.
    n_before: Option<u32>,
    /// Counted in the month after it.
    n_after: u32,
    /// Effective monthly price, unrounded.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    price: String,
    /// Hours a month of price is spread over.
    per: u16,
    /// The plan version, where its price is known to be this one.
    price_version: Option<String>,
    /// Whose price it is: `server`, `customer` or `plan`; as `price_version`.
    price_source: Option<&'static str>,
    /// The price before the discount; as `price_version`.
    list_price: Option<String>,
    /// The customer's discount in percent, where there was one.
    discount_percent: Option<String>,
    /// How its amount comes about.
    formula: String,
    /// Whether the month's price is reached with it.
    cap_reached: bool,
    /// What it cost.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$")]
    amount: String,
    /// Of price and amount: `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Its amount hour by hour.
    by_hour: Vec<HourView>,
    /// Where it stands.
    page: PageView,
}

/// What a later page changed about hours of the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrectionView {
    /// `adjustment`: a fact came late. `reversal`: a page is undone.
    #[serde(rename = "type")]
    #[schema(pattern = "^(adjustment|reversal)$")]
    kind: &'static str,
    /// First hour.
    #[schema(format = DateTime)]
    from: String,
    /// The hour after the last.
    #[schema(format = DateTime)]
    to: String,
    /// Seconds each of these hours counts from then on; `null` for a reversal.
    seconds: Option<u32>,
    /// Change of the balance: positive is a credit.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    amount: String,
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Transactions of this answer that it corrects.
    corrects: Vec<String>,
    /// Where it stands.
    page: PageView,
}

/// The sums of an answer, in one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TotalView {
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Sum of the lines.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    charged: String,
    /// Sum of the corrections: positive is a credit.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    corrected: String,
    /// `charged` less `corrected`.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    cost: String,
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
    let mut reads = 0;
    let begin = |wallet: &WalletId| cursor.is_none_or(|at| (wallet.unit, wallet.lane) >= (at.unit, at.lane));
    for (wallet, tenures) in chains.iter().filter(|(wallet, _)| begin(wallet)) {
        let at = cursor.filter(|at| (at.unit, at.lane) == (wallet.unit, wallet.lane));
        let (mut next, last) = match at {
            Some(at) => (Some(at.next), at.last),
            None => bounds(store, wallet, tenures, month).await?,
        };
        let mut before = match next {
            Some(next) if next > 1 => store.wallet_page(wallet, next - 1).await?,
            _ => None,
        };
        found.begin(before.take().as_ref());
        while let Some(from) = next.filter(|from| *from <= last) {
            if reads == MAX_READS {
                return Ok(Some(GoOn { unit: wallet.unit, lane: wallet.lane, next: from, last }));
            }
            reads += 1;
            let range = Range { from, to: last, newest_first: false, limit: READ_PAGES };
            let stretch = store.wallet_range(wallet, range).await?;
            stretch.pages.iter().for_each(|page| found.read(page));
            next = stretch.next;
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

impl PageView {
    fn of(place: &Place) -> Self {
        Self {
            transaction: id_of(&place.wallet, place.mark.seq),
            lane: place.wallet.lane,
            seq: place.mark.seq,
            hash: hex::encode(place.mark.hash),
            posted_at: place.mark.at.to_string(),
        }
    }
}

impl LineView {
    fn of(explained: &ExplainedLine, origin: Option<Origin>) -> Self {
        let (line, unit) = (&explained.line, explained.place.wallet.unit);
        let in_hours = line.metering == Metering::Hourly
            && [Some(line.secs_after), explained.secs_before].into_iter().flatten().all(|n| n.is_multiple_of(3_600));
        let n = |secs: u32| if in_hours { secs / 3_600 } else { secs };
        let by_hour = explained.hours().into_iter().map(|hour| HourView {
            hour: hour.hour.to_string(),
            n_before: n(hour.secs_before),
            n_after: n(hour.secs_after),
            amount: text(hour.amount, unit),
        });
        let source = |source: Source| match source {
            Source::Server => "server",
            Source::Customer => "customer",
            Source::Plan => "plan",
        };
        Self {
            from: line.from.to_string(),
            to: line.to.to_string(),
            hours: line.hours(),
            counts: if in_hours { "hour" } else { "second" },
            n_before: explained.secs_before.map(n),
            n_after: n(line.secs_after),
            price: line.price.display(unit),
            per: line.per,
            price_source: origin.as_ref().map(|origin| source(origin.source)),
            list_price: origin.as_ref().map(|origin| origin.list.display(unit)),
            price_version: origin.as_ref().map(|origin| origin.version.to_string()),
            discount_percent: origin.and_then(|origin| origin.discount),
            formula: explained.formula(unit),
            cap_reached: explained.cap_reached(),
            amount: text(line.amount, unit),
            unit: unit.as_str(),
            by_hour: by_hour.collect(),
            page: PageView::of(&explained.place),
        }
    }
}

impl CorrectionView {
    fn of(correction: &Correction) -> Self {
        let (place, unit) = (&correction.place, correction.place.wallet.unit);
        Self {
            kind: correction.kind.as_str(),
            from: correction.from.to_string(),
            to: correction.to.to_string(),
            seconds: correction.secs,
            amount: text(correction.amount, unit),
            unit: unit.as_str(),
            corrects: correction.corrects.iter().map(|seq| id_of(&place.wallet, *seq)).collect(),
            page: PageView::of(place),
        }
    }
}

impl TotalView {
    fn of(unit: Unit, total: Total) -> Self {
        Self {
            unit: unit.as_str(),
            charged: text(total.charged, unit),
            corrected: text(total.corrected, unit),
            cost: text(total.cost(), unit),
        }
    }
}
