//! `GET /billing/usage/current`: the month as it runs, server by server, what it will come to, and how long the money
//! lasts.
//!
//! Read off the newest pages' meters and the registry: three or four reads, however long the month. Only where prices
//! changed or billed hours were corrected in the month, its pages are read for these servers.

use crate::counted::Counted;
use crate::read_pages::read_pages;
use api::{Caller, Kit, PageParams, Problem, Query, read_cursor, show as text, write_cursor};
use axum::Json;
use axum::extract::State as With;
use domain::plan::{CustomerRates, Metering, Plan, PriceStep, price_steps};
use domain::rating::Facts;
use domain::tenure::WalletId;
use domain::usage::{Burn, Known, Live, MonthCosts, live};
use domain::wallet::Page;
use domain::{Amount, Hour, Id, Month, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use store::{Balance, BillingSettings, FleetTenure, Store, StoreError};
use utoipa::ToSchema;

/// Servers that are added up in one answer.
const MAX_SERVERS: usize = 20_000;
/// Reads of the registry, up to a megabyte each: more than the servers take.
const MAX_REGISTRY_READS: usize = 32;
/// Reads of one lane's month, up to a megabyte each; beyond, a cost is worked out from the registry, and says so.
const MAX_LANE_READS: usize = 24;
/// Lanes whose month is read at the same time.
const LANES_AT_ONCE: usize = 4;

/// A server's month so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CurrentServer {
    /// The server.
    server: String,
    /// Its plan.
    plan: String,
    /// Its state; `null` before it is there.
    state: Option<String>,
    /// Whether it has ended.
    ended: bool,
    /// First hour it is paid by this customer.
    #[schema(format = DateTime)]
    since: String,
    /// Hours before this one are billed.
    #[schema(format = DateTime)]
    billed_through: String,
    /// What `n` counts: `hour`, or `second`.
    #[schema(pattern = "^(hour|second)$")]
    counts: &'static str,
    /// Billed in the month.
    n: u32,
    /// Billed hours of the month; part of one where seconds count.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$")]
    hours: String,
    /// Monthly price now; `null` where it has none.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    price: Option<String>,
    /// The plan version it comes from.
    price_version: Option<String>,
    /// Hours a month of price is spread over.
    hours_per_month: u16,
    /// What the billed time of the month has cost, corrections taken in.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    cost: String,
    /// Whether `cost` is worked out from today's facts, because the month's pages are too many to be read here.
    cost_is_estimated: bool,
    /// What hours cost that have ended and are not billed yet.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pending: String,
    /// What the month will have cost at its end if the server stays as it is; never more than the price.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    forecast: String,
    /// Whether the present hour is billed.
    burning: bool,
    /// Whether the month's price is reached.
    cap_reached: bool,
    /// Of all amounts: `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
}

/// A wallet's month so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CurrentTotal {
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// The balance.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    balance: String,
    /// Servers that are not closed.
    servers: u64,
    /// Servers whose present hour is billed.
    burning: u64,
    /// The sum of their `cost`. Servers that ended and were closed earlier in the month are in the statement.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    cost: String,
    /// The sum of their `pending`.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pending: String,
    /// The sum of their `forecast`.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    forecast: String,
    /// What the servers burn in an hour, a monthly price spread over its hours; to the last step.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    hourly_burn: String,
    /// Full hours the balance lasts at that; `null` where nothing burns, 0 where nothing is left.
    runway_hours: Option<u64>,
}

/// The month so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CurrentUsage {
    /// The month, UTC.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    /// Now.
    #[schema(format = DateTime)]
    at: String,
    /// The wallets, over all servers.
    totals: Vec<CurrentTotal>,
    /// Servers, by name.
    data: Vec<CurrentServer>,
    /// Pass it back for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// The live month to date of each server, its forecast, and the runway of the balance.
#[utoipa::path(
    get, path = "/billing/usage/current", tag = "billing", operation_id = "current_usage", params(PageParams),
    responses((status = 200, body = CurrentUsage)), security(("bearer" = []))
)]
pub async fn show(
    With(kit): With<Kit>,
    caller: Caller,
    Query(params): Query<PageParams>,
) -> Result<Json<CurrentUsage>, Problem> {
    let after: Option<(Id, Hour)> = read_cursor(params.cursor.as_deref())?;
    let (store, now) = (&kit.store, kit.clock.now());
    let (balances, tenures, plans, rates, settings) = tokio::try_join!(
        store.wallet_balances(&caller.user),
        tenures_of(store, &caller.user),
        store.plan_list(),
        store.rates_get(&caller.user),
        store.billing_settings(),
    )?;
    if tenures.len() > MAX_SERVERS {
        let detail = format!("More than {MAX_SERVERS} servers are not added up at once; see the statement.");
        return Err(Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "too_many_servers", detail));
    }
    let world = World { balances: &balances, plans: &plans, rates: rates.as_ref(), settings: &settings, now };
    let mut servers: Vec<Server> = tenures.into_iter().map(|tenure| world.look_at(tenure)).collect();
    read_costs(store, &world, &mut servers).await?;
    let key = |server: &Server| (server.tenure.tenure.server.clone(), server.tenure.tenure.since);
    let mut rest = servers.iter().filter(|server| after.as_ref().is_none_or(|after| key(server) > *after));
    let listed: Vec<&Server> = rest.by_ref().take(params.rows()).collect();
    let last = listed.last().filter(|_| rest.next().is_some());
    Ok(Json(CurrentUsage {
        month: world.month().to_string(),
        at: now.to_string(),
        totals: balances.iter().map(|balance| world.total(balance, &servers)).collect(),
        next_cursor: last.map(|server| write_cursor(&key(server))).transpose()?,
        data: listed.into_iter().map(|server| world.view(server)).collect(),
    }))
}

/// The customer's tenures that are not closed, by server.
async fn tenures_of(store: &Store, customer: &Id) -> Result<Vec<FleetTenure>, StoreError> {
    let (mut tenures, mut start) = (Vec::new(), None);
    for _ in 0..MAX_REGISTRY_READS {
        let page = store.fleet_customer(customer, start).await?;
        tenures.extend(page.tenures);
        match page.next {
            Some(key) if tenures.len() <= MAX_SERVERS => start = Some(key),
            _ => break,
        }
    }
    tenures.sort_by(|a, b| (&a.tenure.server, a.tenure.since).cmp(&(&b.tenure.server, b.tenure.since)));
    Ok(tenures)
}

/// What the figures are worked out from.
struct World<'a> {
    balances: &'a [Balance],
    plans: &'a HashMap<Id, Plan>,
    rates: Option<&'a CustomerRates>,
    settings: &'a BillingSettings,
    now: Timestamp,
}

/// A server and its month.
struct Server {
    tenure: FleetTenure,
    live: Live,
    cost: Amount,
    estimated: bool,
}

impl World<'_> {
    fn month(&self) -> Month {
        self.now.hour().month()
    }

    fn head(&self, wallet: &WalletId) -> Option<&Page> {
        let mut heads = self.balances.iter().flat_map(|balance| &balance.heads);
        heads.find(|(known, _)| known == wallet).and_then(|(_, head)| head.as_ref())
    }

    fn look_at(&self, tenure: FleetTenure) -> Server {
        let steps = self.steps(&tenure);
        let head = self.head(&tenure.tenure.wallet);
        let facts =
            Facts { timeline: &tenure.timeline, steps: &steps, switch: &self.settings.switch, per: &self.settings.per };
        let known = Known {
            facts,
            since: tenure.tenure.since,
            known_from: tenure.known_from,
            meter: head.and_then(|page| page.meter(&tenure.tenure.server, tenure.tenure.since)),
            rechecking: tenure.recheck.is_some(),
        };
        let live = live(known, self.now);
        Server { cost: live.cost.unwrap_or(live.rated), estimated: live.cost.is_none(), live, tenure }
    }

    /// Prices up to the month's end, changes that are announced included. None where the plan is not known: the server
    /// is not billed either, until it is.
    fn steps(&self, tenure: &FleetTenure) -> Vec<PriceStep> {
        let plan = self.plans.get(tenure.plan.as_str());
        let end = self.month().end().max(tenure.known_from.plus(1));
        let steps = plan.map(|plan| price_steps(plan, &tenure.rates, self.rates, tenure.known_from, end));
        match steps {
            Some(Ok(steps)) => steps,
            Some(Err(error)) => {
                tracing::warn!(server = %tenure.tenure.server, reason = %error, "a server cannot be priced");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn total(&self, balance: &Balance, servers: &[Server]) -> CurrentTotal {
        let unit = balance.unit;
        let own = || servers.iter().filter(|server| server.tenure.tenure.wallet.unit == unit);
        let mut burn = Burn::default();
        for price in own().filter_map(|server| server.live.step.as_ref().filter(|_| server.live.burns)) {
            burn.add(price.terms.price);
        }
        let per = self.settings.per.at(self.now.hour());
        let sum = |of: fn(&Server) -> Amount| text(own().map(of).sum(), unit);
        let count = |of: fn(&Server) -> bool| u64::try_from(own().filter(|server| of(server)).count()).unwrap_or(0);
        CurrentTotal {
            unit: unit.as_str(),
            balance: text(balance.amount, unit),
            servers: count(|_| true),
            burning: count(|server| server.live.burns),
            cost: sum(|server| server.cost),
            pending: sum(|server| server.live.pending),
            forecast: sum(|server| server.cost + server.live.rest),
            hourly_burn: text(burn.per_hour(per), unit),
            runway_hours: burn.runway_hours(balance.amount, per),
        }
    }

    fn view(&self, server: &Server) -> CurrentServer {
        let (live, tenure) = (&server.live, &server.tenure.tenure);
        let unit = tenure.wallet.unit;
        let terms = live.step.as_ref().map(|step| &step.terms);
        let counted = Counted::of(terms.map_or(Metering::Hourly, |terms| terms.metering), [live.secs]);
        let per = self.settings.per.at(self.now.hour());
        CurrentServer {
            server: tenure.server.to_string(),
            plan: server.tenure.plan.to_string(),
            state: live.state.as_ref().map(ToString::to_string),
            ended: live.ended,
            since: tenure.since.to_string(),
            billed_through: live.through.to_string(),
            counts: counted.as_str(),
            n: counted.n(live.secs),
            // Hundredths of an hour, cut off: `n` is what counts.
            hours: format!("{}.{:02}", live.secs / 3_600, live.secs % 3_600 / 36),
            price: terms.map(|terms| terms.price.display(unit)),
            price_version: terms.map(|terms| terms.version.to_string()),
            hours_per_month: per,
            cost: text(server.cost, unit),
            cost_is_estimated: server.estimated,
            pending: text(live.pending, unit),
            forecast: text(server.cost + live.rest, unit),
            burning: live.burns,
            cap_reached: live.secs >= u32::from(per) * 3_600,
            unit: unit.as_str(),
        }
    }
}

/// Reads what the meters do not tell off the month's pages, lane by lane.
async fn read_costs(store: &Store, world: &World<'_>, servers: &mut [Server]) -> Result<(), StoreError> {
    let month = world.month();
    let mut lanes: BTreeMap<WalletId, Vec<(Id, Hour)>> = BTreeMap::new();
    for server in servers.iter().filter(|server| server.estimated) {
        let tenure = &server.tenure.tenure;
        lanes.entry(tenure.wallet.clone()).or_default().push((tenure.server.clone(), tenure.since));
    }
    let read = |(wallet, tenures): (WalletId, Vec<(Id, Hour)>)| async move {
        let Some(head) = world.head(&wallet) else { return Ok((wallet, Some(MonthCosts::new(month, tenures)))) };
        let costs = costs_of(store, &wallet, head, MonthCosts::new(month, tenures), month).await?;
        Ok::<_, StoreError>((wallet, costs))
    };
    let costs: BTreeMap<WalletId, Option<MonthCosts>> =
        stream::iter(lanes.into_iter().map(read)).buffered(LANES_AT_ONCE).try_collect().await?;
    for server in servers.iter_mut().filter(|server| server.estimated) {
        let tenure = &server.tenure.tenure;
        if let Some(Some(costs)) = costs.get(&tenure.wallet) {
            (server.cost, server.estimated) = (costs.cost(&tenure.server, tenure.since), false);
        }
    }
    Ok(())
}

/// `None` where the month has more pages than are read.
async fn costs_of(
    store: &Store,
    wallet: &WalletId,
    head: &Page,
    mut costs: MonthCosts,
    month: Month,
) -> Result<Option<MonthCosts>, StoreError> {
    let (first, mut reads) = (store.wallet_edge(wallet, head, month.start().start()).await?, MAX_LANE_READS);
    let each = |page: &Page| {
        costs.read(page);
        Ok(())
    };
    let rest = read_pages(store, wallet, Some(first), head.seq, &mut reads, each).await?;
    Ok(rest.is_none().then_some(costs))
}
