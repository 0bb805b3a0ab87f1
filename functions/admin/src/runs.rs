//! `GET /admin/runs` and `GET /admin/runs/{hour}`: what became of each metering run, with the totals of its hour.

use api::{Admin, Kit, Money, PageParams, Paged, Problem, Query, read_cursor, write_cursor};
use axum::Json;
use axum::extract::{Path, State};
use domain::run::{HourTotal, Run, STALE_SECS};
use domain::{Amount, Hour, Timestamp, Unit};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunRow {
    /// Its name: everything before this hour is billed, RFC 3339.
    hour: String,
    /// `running`, `ok`, `failed`, or `unfinished` where nothing has happened in it for 90 minutes.
    #[schema(pattern = "^(running|ok|failed|unfinished)$")]
    status: &'static str,
    /// When it was opened first, RFC 3339.
    opened_at: String,
    /// When something happened in it last, RFC 3339.
    heartbeat_at: String,
    /// Parts of the fleet that were listed, of 64.
    shards_done: u32,
    /// Jobs issued.
    jobs: u64,
    /// Jobs of it that came too late. Nothing is lost: a later run bills their hours.
    jobs_expired: u64,
    /// Servers whose jobs were parked, for an operator to look at.
    parked: Vec<String>,
    /// The last failure of a part that is not done yet.
    error: Option<String>,
    /// Server-hours billed for the hour before `hour`.
    server_hours: u64,
    /// What they cost: USD, then tokens.
    amounts: Vec<Money>,
}

/// The runs, newest first.
#[utoipa::path(
    get, path = "/admin/runs", tag = "admin", operation_id = "admin_runs", params(PageParams),
    responses((status = 200, body = Paged<RunRow>)), security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    Query(page): Query<PageParams>,
) -> Result<Json<Paged<RunRow>>, Problem> {
    let before: Option<Hour> = read_cursor(page.cursor.as_deref())?;
    let limit = page.rows();
    // One more than asked for tells whether there are more.
    let most = u16::try_from(limit + 1).unwrap_or(u16::MAX);
    let mut runs = match before {
        Some(hour) => kit.store.run_list_before(hour, most).await?,
        None => kit.store.run_list(most).await?,
    };
    let is_last = runs.len() <= limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| !is_last).map(|run| run.through);
    let next_cursor = next.as_ref().map(write_cursor).transpose()?;
    Ok(Json(Paged { data: rows(&kit, runs).await?, next_cursor }))
}

/// One run, by its hour.
#[utoipa::path(
    get, path = "/admin/runs/{hour}", tag = "admin", operation_id = "admin_run",
    params(("hour" = String, Path, format = DateTime, example = "2026-11-10T03:00:00Z")),
    responses((status = 200, body = RunRow)), security(("bearer" = ["admin"]))
)]
pub async fn show(_: Admin, State(kit): State<Kit>, Path(hour): Path<String>) -> Result<Json<RunRow>, Problem> {
    let time = Timestamp::parse(&hour).ok().filter(|time| time.hour().start() == *time);
    let hour = time.ok_or_else(Problem::not_found)?.hour();
    let run = kit.store.run_get(hour).await?.ok_or_else(Problem::not_found)?;
    rows(&kit, vec![run]).await?.pop().map(Json).ok_or_else(Problem::not_found)
}

/// Runs with the totals of their hours.
///
/// # Errors
/// DynamoDB's.
pub async fn rows(kit: &Kit, runs: Vec<Run>) -> Result<Vec<RunRow>, Problem> {
    let hours: BTreeSet<Hour> = runs.iter().map(|run| run.through.minus(1)).collect();
    let totals = kit.store.hour_totals(&hours).await?;
    let now = kit.clock.now();
    Ok(runs.into_iter().map(|run| row(run, &totals, now)).collect())
}

fn row(run: Run, totals: &BTreeMap<(Unit, Hour), HourTotal>, now: Timestamp) -> RunRow {
    let hour = run.through.minus(1);
    let [usd, tokens] = [Unit::Usd, Unit::Token].map(|unit| totals.get(&(unit, hour)).copied().unwrap_or_default());
    let money = |total: HourTotal, unit| Money::new(Amount::from_steps(total.amount_steps), unit);
    let status = if run.error.is_some() || !run.parked.is_empty() {
        "failed"
    } else if run.is_dispatched() {
        "ok"
    } else if now.since(run.heartbeat_at) > STALE_SECS {
        "unfinished"
    } else {
        "running"
    };
    RunRow {
        hour: run.through.to_string(),
        status,
        opened_at: run.opened_at.to_string(),
        heartbeat_at: run.heartbeat_at.to_string(),
        shards_done: run.shards_done.count_ones(),
        jobs: run.jobs,
        jobs_expired: run.expired,
        parked: run.parked,
        error: run.error,
        server_hours: usd.server_hours + tokens.server_hours,
        amounts: vec![money(usd, Unit::Usd), money(tokens, Unit::Token)],
    }
}
