//! `GET /billing/statements/{month}`: what a month did to the wallets, with the hashes of its first and last pages.

use crate::filter::UnitName;
use crate::read_pages::read_pages;
use api::dates::month as parse_month;
use api::{Caller, FieldError, Kit, Problem, Query, show as text};
use axum::Json;
use axum::extract::{Path, State as With};
use axum::http::StatusCode;
use domain::statement::{LaneStatement, Mark, ServerSum};
use domain::tenure::WalletId;
use domain::wallet::{Kind, Page};
use domain::{Amount, Month, Unit};
use futures::{StreamExt, TryStreamExt, stream};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{Store, StoreError};
use utoipa::ToSchema;

/// Lanes of one statement: more are asked for one by one.
const MAX_LANES: usize = 16;
/// Lanes that are read at the same time: each holds up to a megabyte.
const LANES_AT_ONCE: usize = 4;
/// Reads of one lane, up to a megabyte each: a month of 500 servers takes 30.
const MAX_LANE_READS: usize = 96;
/// Servers that are listed in each unit; what is left is one sum.
const MAX_SERVERS: usize = 5_000;

/// Which part of it.
#[derive(Clone, Copy, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementParams {
    /// Only this wallet.
    #[garde(skip)]
    #[param(inline)]
    unit: Option<UnitName>,
    /// Only this lane; 0 is the first.
    #[garde(skip)]
    lane: Option<u16>,
}

/// A page of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MarkView {
    /// Its number.
    seq: u64,
    /// When it was posted.
    #[schema(format = DateTime)]
    posted_at: String,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

/// A lane's month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LaneView {
    /// Its number.
    lane: u16,
    /// Balance before the first page.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    opening: String,
    /// Balance after the last.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    closing: String,
    /// Pages of the month.
    pages: u64,
    /// The first one.
    first: Option<MarkView>,
    /// The last one.
    last: Option<MarkView>,
}

/// What was posted of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KindSum {
    /// The kind.
    #[serde(rename = "type")]
    #[schema(value_type = crate::transaction::KindName)]
    kind: &'static str,
    /// The sum of the changes; usage is negative.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    amount: String,
}

/// What a server was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServerView {
    /// The server; `null` for the sum of those that are not listed.
    server: Option<String>,
    /// Server-hours posted in the month.
    hours: u64,
    /// What they cost.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    usage: String,
    /// Corrections of billed hours posted in the month: positive is a credit.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    adjustments: String,
    /// `usage` less `adjustments`.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    cost: String,
}

/// A wallet's month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnitStatement {
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Balance before the month.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    opening: String,
    /// Balance after it. `opening` and all `kinds` add up to it.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    closing: String,
    /// Sums by kind.
    kinds: Vec<KindSum>,
    /// Sums by server; usage less adjustments as `kinds` has them.
    servers: Vec<ServerView>,
    /// Lane by lane, so that it can be checked against the chains.
    lanes: Vec<LaneView>,
}

/// A month of a customer's wallets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatementView {
    /// The month, UTC. A transaction belongs to the month it was posted in: the last hour of a month is posted in the
    /// next.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    /// Whether the month is over.
    complete: bool,
    /// The wallets that had money by then.
    wallets: Vec<UnitStatement>,
}

/// A month's statement: opening balance, sums by kind and by server, closing balance, and the pages it is made of.
#[utoipa::path(
    get, path = "/billing/statements/{month}", tag = "billing", operation_id = "statement",
    params(
        ("month" = String, Path, description = "2026-11", max_length = 7, pattern = "^[0-9]{4}-[0-9]{2}$"),
        StatementParams
    ),
    responses((status = 200, body = StatementView)), security(("bearer" = []))
)]
pub async fn show(
    With(kit): With<Kit>,
    caller: Caller,
    Path(month): Path<String>,
    Query(params): Query<StatementParams>,
) -> Result<Json<StatementView>, Problem> {
    let month = parse_month(&month)?;
    if month.start() > kit.clock.now().hour() {
        return Err(Problem::not_found());
    }
    let mut lanes: Vec<(WalletId, Page)> = Vec::new();
    for balance in kit.store.wallet_balances(&caller.user).await? {
        let wanted = |wallet: &WalletId| {
            params.lane.is_none_or(|lane| lane == wallet.lane)
                && params.unit.is_none_or(|unit| unit.unit() == wallet.unit)
        };
        let heads = balance.heads.into_iter().filter(|(wallet, _)| wanted(wallet));
        lanes.extend(heads.filter_map(|(wallet, head)| head.map(|head| (wallet, head))));
    }
    if lanes.len() > MAX_LANES {
        return Err(too_many());
    }
    let read = |(wallet, head): (WalletId, Page)| {
        let store = kit.store.clone();
        async move { lane_of(&store, &wallet, &head, month).await.map(|found| found.map(|found| (wallet, found))) }
    };
    let found: Vec<_> = stream::iter(lanes.into_iter().map(read)).buffered(LANES_AT_ONCE).try_collect().await?;
    let mut units: BTreeMap<Unit, Vec<(u16, LaneStatement)>> = BTreeMap::new();
    for (wallet, statement) in found.into_iter().flatten() {
        units.entry(wallet.unit).or_default().push((wallet.lane, statement));
    }
    if units.is_empty() {
        return Err(Problem::not_found());
    }
    Ok(Json(StatementView {
        month: month.to_string(),
        complete: kit.clock.now() >= month.end().start(),
        wallets: units.into_iter().map(|(unit, lanes)| UnitStatement::of(unit, &lanes)).collect(),
    }))
}

fn too_many() -> Problem {
    let detail = format!("There are more than {MAX_LANES} lanes; ask for them one by one.");
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_lanes", detail);
    problem.with_errors(vec![FieldError::parameter("lane", "name a lane, 0 first")])
}

/// One lane's month; `None` where the chain had not begun by its end.
async fn lane_of(
    store: &Store,
    wallet: &WalletId,
    head: &Page,
    month: Month,
) -> Result<Option<LaneStatement>, StoreError> {
    let first = store.wallet_edge(wallet, head, month.start().start()).await?;
    let last = store.wallet_edge(wallet, head, month.end().start()).await? - 1;
    if last == 0 {
        return Ok(None);
    }
    if first > last {
        let before = store.wallet_page(wallet, last).await?;
        return Ok(Some(LaneStatement::new(before.map_or(Amount::ZERO, |page| page.after))));
    }
    let (mut statement, mut reads) = (LaneStatement::default(), MAX_LANE_READS);
    let each = |page: &Page| statement.read(page).map_err(|fault| StoreError::Corrupt(fault.place, fault.what));
    if read_pages(store, wallet, Some(first), last, &mut reads, each).await?.is_some() {
        let detail = format!("a month of {wallet} is longer than {MAX_LANE_READS} reads");
        return Err(StoreError::Unavailable { operation: "Query", detail });
    }
    Ok(Some(statement))
}

impl UnitStatement {
    fn of(unit: Unit, lanes: &[(u16, LaneStatement)]) -> Self {
        let sum = |of: fn(&LaneStatement) -> Amount| lanes.iter().map(|(_, lane)| of(lane)).sum::<Amount>();
        let mut kinds: BTreeMap<Kind, Amount> = BTreeMap::new();
        let mut servers: BTreeMap<&str, ServerSum> = BTreeMap::new();
        for (_, lane) in lanes {
            for (kind, amount) in &lane.kinds {
                let kind = kinds.entry(*kind).or_default();
                *kind = *kind + *amount;
            }
            for (server, sum) in &lane.servers {
                add(servers.entry(server.as_str()).or_default(), sum);
            }
        }
        let mut rest = ServerSum::default();
        servers.values().skip(MAX_SERVERS).for_each(|sum| add(&mut rest, sum));
        let listed = servers.iter().take(MAX_SERVERS).map(|(server, sum)| ServerView::of(Some(server), sum, unit));
        let unlisted = (servers.len() > MAX_SERVERS).then(|| ServerView::of(None, &rest, unit));
        Self {
            unit: unit.as_str(),
            opening: text(sum(|lane| lane.opening), unit),
            closing: text(sum(|lane| lane.closing), unit),
            kinds: kinds.iter().map(|(kind, sum)| KindSum { kind: kind.as_str(), amount: text(*sum, unit) }).collect(),
            servers: listed.chain(unlisted).collect(),
            lanes: lanes.iter().map(|(number, lane)| LaneView::of(*number, lane, unit)).collect(),
        }
    }
}

fn add(to: &mut ServerSum, sum: &ServerSum) {
    to.hours += sum.hours;
    to.usage = to.usage + sum.usage;
    to.adjustments = to.adjustments + sum.adjustments;
}

impl ServerView {
    fn of(server: Option<&str>, sum: &ServerSum, unit: Unit) -> Self {
        Self {
            server: server.map(str::to_owned),
            hours: sum.hours,
            usage: text(sum.usage, unit),
            adjustments: text(sum.adjustments, unit),
            cost: text(sum.usage - sum.adjustments, unit),
        }
    }
}

impl LaneView {
    fn of(lane: u16, statement: &LaneStatement, unit: Unit) -> Self {
        Self {
            lane,
            opening: text(statement.opening, unit),
            closing: text(statement.closing, unit),
            pages: statement.pages,
            first: statement.first.map(MarkView::of),
            last: statement.last.map(MarkView::of),
        }
    }
}

impl MarkView {
    /// Names a page.
    #[must_use]
    pub fn of(mark: Mark) -> Self {
        Self { seq: mark.seq, posted_at: mark.at.to_string(), hash: hex::encode(mark.hash) }
    }
}
