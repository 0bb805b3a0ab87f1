//! `GET /health/billing-daemon`: the last run's figures, from its record and the hour's totals.

use api::{Admin, Kit, Problem};
use axum::Json;
use axum::extract::State;
use domain::run::{HourTotal, Run, STALE_SECS};
use domain::{Amount, Timestamp, Unit};
use serde::Serialize;
use utoipa::ToSchema;

/// Runs whose expired jobs are shown: a job expires six hours after it was issued, so they are never the last run's.
const RUNS_LOOKED_AT: u16 = 24;

/// How billing is doing. Field names are those of the system this replaces, where it had them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingDaemon {
    /// `never_run`, `running`, `ok`, `failed` or `stale`.
    pub status: &'static str,
    /// When the last run was opened, RFC 3339.
    pub last_run_at: Option<String>,
    /// The hour it bills up to, RFC 3339.
    pub billed_through: Option<String>,
    /// Whether all its jobs were sent and none was parked; `null` while it runs.
    pub last_run_success: Option<bool>,
    /// Servers billed for the hour before `billed_through`.
    pub instances_billed: u64,
    /// Jobs the run issued.
    pub jobs: u64,
    /// Jobs of the last [`RUNS_LOOKED_AT`] runs that came too late to be billed. No money is lost: a later run bills their
    /// hours. But somebody should ask why messages wait for six hours.
    pub jobs_expired: u64,
    /// What they were charged, USD wallets.
    pub total_amount: String,
    /// What they were charged, token wallets.
    pub total_tokens: String,
    /// Server-hours billed for that hour.
    pub total_hours: u64,
    /// When the run last did something, RFC 3339.
    pub heartbeat_at: Option<String>,
    /// No run for 90 minutes.
    pub warning_threshold_exceeded: bool,
    /// The last failure.
    pub error_message: Option<String>,
}

/// How the last billing run went.
#[utoipa::path(
    get, path = "/health/billing-daemon", tag = "health", operation_id = "billing_daemon",
    responses((status = 200, body = BillingDaemon)), security(("bearer" = ["admin"]))
)]
pub async fn show(_: Admin, State(kit): State<Kit>) -> Result<Json<BillingDaemon>, Problem> {
    let now = kit.clock.now();
    let runs = kit.store.run_list(RUNS_LOOKED_AT).await?;
    let expired = runs.iter().map(|run| run.expired).sum();
    let Some(run) = runs.into_iter().next() else {
        return Ok(Json(BillingDaemon::of(None, expired, [HourTotal::default(); 2], now)));
    };
    let hour = run.through.minus(1);
    let usd = kit.store.hour_total(Unit::Usd, hour).await?;
    let tokens = kit.store.hour_total(Unit::Token, hour).await?;
    Ok(Json(BillingDaemon::of(Some(run), expired, [usd, tokens], now)))
}

impl BillingDaemon {
    fn of(run: Option<Run>, jobs_expired: u64, [usd, tokens]: [HourTotal; 2], now: Timestamp) -> Self {
        let stale = run.as_ref().is_none_or(|run| now.since(run.opened_at) > STALE_SECS);
        let status = match &run {
            None => "never_run",
            Some(_) if stale => "stale",
            Some(run) if run.error.is_some() || !run.parked.is_empty() => "failed",
            Some(run) if run.is_dispatched() => "ok",
            Some(_) => "running",
        };
        let parked = run.as_ref().filter(|run| !run.parked.is_empty());
        let parked = parked.map(|run| format!("jobs were parked for: {}", run.parked.join(", ")));
        let hours = usd.server_hours + tokens.server_hours;
        Self {
            status,
            last_run_at: run.as_ref().map(|run| run.opened_at.to_string()),
            billed_through: run.as_ref().map(|run| run.through.to_string()),
            last_run_success: run.as_ref().filter(|_| status != "running").map(Run::is_success),
            instances_billed: hours,
            jobs: run.as_ref().map_or(0, |run| run.jobs),
            jobs_expired,
            total_amount: Amount::from_steps(usd.amount_steps).display(Unit::Usd).to_string(),
            total_tokens: Amount::from_steps(tokens.amount_steps).display(Unit::Token).to_string(),
            total_hours: hours,
            heartbeat_at: run.as_ref().map(|run| run.heartbeat_at.to_string()),
            warning_threshold_exceeded: stale,
            error_message: run.and_then(|run| run.error).or(parked),
        }
    }
}
