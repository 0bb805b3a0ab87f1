//! `GET /admin/cron/status` and `POST /admin/cron/trigger-hourly-billing`.

use crate::State;
use crate::acting::Acting;
use crate::runs::{RunRow, rows};
use api::{Admin, Problem};
use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use domain::Timestamp;
use domain::job::RunMessage;
use domain::run::Run;
use domain::settings::Schedule;
use providers::Deployed;
use serde::Serialize;
use serde_json::{Value, json};
use store::audit::BILLING_TRIGGER;
use utoipa::ToSchema;

/// Runs that are told as the log.
const LOGGED_RUNS: u16 = 10;
/// Seconds after which a run that was due and did not begin is late.
const LATE_SECS: i64 = 30 * 60;

/// How the schedule is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct CronStatus {
    /// Whether the hour that it is now will be billed. A run happens all the same while it is off: for hours before.
    enabled: bool,
    /// The setting: minute, hour, day of month, month, day of week.
    schedule: String,
    /// Always `UTC`.
    #[schema(pattern = "^UTC$")]
    timezone: &'static str,
    /// Hours per month in force.
    hours_per_month: u16,
    /// When it is due next, RFC 3339.
    next_run: Option<String>,
    /// When the last run began, RFC 3339.
    last_run: Option<String>,
    /// `never_run`, `late` (one was due more than half an hour ago), or of the last run `running`, `ok` or `failed`.
    #[schema(pattern = "^(never_run|late|running|ok|failed)$")]
    status: &'static str,
    /// Whether what fires the runs follows the setting. Not after a deploy that set another schedule: set the setting again.
    /// `null` where it cannot be read now.
    in_sync: Option<bool>,
    /// What fires the runs, as EventBridge Scheduler has it; `null` where there is nothing of the kind.
    deployed_schedule: Option<String>,
    /// Whether that fires at all; an operator may have stopped it by a deploy.
    deployed_enabled: Option<bool>,
    /// The last runs, newest first.
    logs: Vec<RunRow>,
}

/// A run was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Triggered {
    /// Always `accepted`.
    #[schema(pattern = "^accepted$")]
    status: &'static str,
    /// Everything before this hour will be billed: the run's name under `/admin/runs`.
    hour: String,
}

/// How billing's schedule is doing, and whether it follows its setting.
#[utoipa::path(
    get, path = "/admin/cron/status", tag = "admin", operation_id = "admin_cron_status",
    responses((status = 200, body = CronStatus)), security(("bearer" = ["admin"]))
)]
pub async fn status(_: Admin, Shared(state): Shared<State>) -> Result<Json<CronStatus>, Problem> {
    let (kit, now) = (&state.kit, state.kit.clock.now());
    let settings = kit.store.billing_settings().await?;
    let runs = kit.store.run_list(LOGGED_RUNS).await?;
    let deployed = state.scheduler.get().await;
    let in_sync = match (&deployed, settings.schedule.times()) {
        (Ok(None), _) => Some(true),
        (Ok(Some(deployed)), Ok(times)) => Some(deployed.is_at(&times)),
        (Ok(Some(_)), Err(_)) => Some(false),
        (Err(error), _) => {
            tracing::warn!(error = %error, "the schedule cannot be read");
            None
        }
    };
    let deployed: Option<Deployed> = deployed.ok().flatten();
    Ok(Json(CronStatus {
        enabled: settings.switch.is_on(now.hour()),
        schedule: settings.schedule.expression().to_owned(),
        timezone: "UTC",
        hours_per_month: settings.per.at(now.hour()),
        next_run: settings.schedule.next_after(now).map(|next| next.to_string()),
        last_run: runs.first().map(|run| run.opened_at.to_string()),
        status: how(runs.first(), &settings.schedule, now),
        in_sync,
        deployed_enabled: deployed.as_ref().map(|deployed| deployed.enabled),
        deployed_schedule: deployed.map(|deployed| deployed.expression),
        logs: rows(kit, runs).await?,
    }))
}

fn how(last: Option<&Run>, schedule: &Schedule, now: Timestamp) -> &'static str {
    let Some(run) = last else { return "never_run" };
    let due = schedule.next_after(run.opened_at);
    if due.is_some_and(|due| now.since(due) > LATE_SECS) {
        return "late";
    }
    if run.error.is_some() || !run.parked.is_empty() {
        return "failed";
    }
    if run.is_dispatched() { "ok" } else { "running" }
}

/// Bills now what is due, as the schedule does: everything before the hour it is. Twice in an hour bills nothing twice.
#[utoipa::path(
    post, path = "/admin/cron/trigger-hourly-billing", tag = "admin", operation_id = "admin_cron_trigger",
    responses((status = 202, body = Triggered)), security(("bearer" = ["admin"]))
)]
pub async fn trigger(
    Acting(by): Acting,
    Shared(state): Shared<State>,
) -> Result<(StatusCode, Json<Triggered>), Problem> {
    let hour = by.at.hour().to_string();
    // That it was asked for is true whatever comes of it, so it is written down first.
    let record = by.record(BILLING_TRIGGER, format!("run/{hour}"), Value::Null, json!({ "hour": hour }));
    state.kit.store.audit_write(&record).await?;
    let body = serde_json::to_string(&RunMessage { run_at: by.at }).map_err(|error| unavailable(&error))?;
    state.metering.send(vec![body]).await.map_err(|error| unavailable(&error))?;
    Ok((StatusCode::ACCEPTED, Json(Triggered { status: "accepted", hour })))
}

fn unavailable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %error, "metering was not told");
    Problem::of(StatusCode::SERVICE_UNAVAILABLE)
}
