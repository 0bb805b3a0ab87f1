//! `GET /admin/settings` and `PUT /admin/settings/{key}`. A setting that touches money holds from an hour or a month on; what
//! is closed stays as it was billed.

use crate::State;
use crate::acting::Acting;
use api::{Admin, Json, Kit, Paged, Problem};
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use domain::settings::{
    CRON_SCHEDULE, DEFAULT_CRON, DEFAULT_HOURS_PER_MONTH, HOURLY_BILLING_ENABLED, HOURS_PER_MONTH, Schedule,
};
use domain::{Hour, Timestamp};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{BillingSettings, SettingChange, SettingStamp};
use utoipa::ToSchema;

/// Tries to make the schedule follow the setting while others set it, too.
const SYNC_ROUNDS: usize = 3;
/// Seconds after which a schedule that did not follow may be set again.
const AGAIN_SECS: i64 = 2;

/// What a setting is set to: a truth value, a whole number or a text, by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// On or off.
    Truth(bool),
    /// A number.
    Number(u32),
    /// A text.
    Text(String),
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct Setting {
    /// Its name.
    key: &'static str,
    /// What it does.
    description: &'static str,
    /// What it was set to last.
    value: SettingValue,
    /// What it is where nobody sets it.
    default: SettingValue,
    /// What holds now: another value than `value` until `since` has come.
    in_force: SettingValue,
    /// The hour from which `value` holds, RFC 3339; `null` where it always has, or holds at once.
    since: Option<String>,
    /// When it was set last through this API, RFC 3339.
    updated_at: Option<String>,
    /// By whom.
    updated_by: Option<String>,
}

/// What to set it to.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct SettingUpdate {
    /// `true` or `false`, 1 to 8760, or five cron fields in UTC.
    value: SettingValue,
}

/// All settings, with what they are, what they were by default, since when and by whom.
#[utoipa::path(
    get, path = "/admin/settings", tag = "admin", operation_id = "admin_settings",
    responses((status = 200, body = Paged<Setting>)), security(("bearer" = ["admin"]))
)]
pub async fn list(_: Admin, Shared(kit): Shared<Kit>) -> Result<axum::Json<Paged<Setting>>, Problem> {
    let data = read(&kit).await?.into();
    Ok(axum::Json(Paged { data, next_cursor: None }))
}

/// Sets a setting. The switch holds from the next full hour on, hours per month from the next month on, the schedule at once.
/// Setting the schedule again to what it is makes what fires it follow, should it not.
#[utoipa::path(
    put, path = "/admin/settings/{key}", tag = "admin", operation_id = "admin_setting_set",
    params(("key" = String, Path)), request_body = SettingUpdate, responses((status = 200, body = Setting)),
    security(("bearer" = ["admin"]))
)]
pub async fn set(
    Acting(by): Acting,
    Shared(state): Shared<State>,
    Path(key): Path<String>,
    Json(body): Json<SettingUpdate>,
) -> Result<axum::Json<Setting>, Problem> {
    let change = change(&key, body.value, by.at)?;
    state.kit.store.setting_set(&change, &by).await?;
    if matches!(change, SettingChange::CronSchedule(_)) {
        follow(&state).await?;
    }
    let setting = read(&state.kit).await?.into_iter().find(|setting| setting.key == key);
    setting.map(axum::Json).ok_or_else(Problem::not_found)
}

/// Checks a value against its setting. What is refused here is refused everywhere: the schedule must be one that EventBridge
/// can keep, on a laptop, too.
fn change(key: &str, value: SettingValue, now: Timestamp) -> Result<SettingChange, Problem> {
    let wrong = |detail: &str| Problem::field("/value", detail);
    match (key, value) {
        (HOURLY_BILLING_ENABLED, SettingValue::Truth(on)) => Ok(SettingChange::HourlyBillingEnabled(on)),
        (HOURLY_BILLING_ENABLED, _) => Err(wrong("it is true or false")),
        (HOURS_PER_MONTH, SettingValue::Number(hours)) => {
            domain::settings::HoursPerMonth::constant(hours).map_err(|error| wrong(&error.to_string()))?;
            Ok(SettingChange::HoursPerMonth(hours))
        }
        (HOURS_PER_MONTH, _) => Err(wrong("it is a whole number from 1 to 8760")),
        (CRON_SCHEDULE, SettingValue::Text(cron)) => {
            let schedule = Schedule::parse(&cron).map_err(|error| wrong(&error.to_string()))?;
            schedule.times().map_err(|error| wrong(&error.to_string()))?;
            schedule.next_after(now).ok_or_else(|| wrong("it never comes"))?;
            Ok(SettingChange::CronSchedule(Box::new(schedule)))
        }
        (CRON_SCHEDULE, _) => Err(wrong("it is a text of five cron fields")),
        _ => Err(Problem::not_found()),
    }
}

/// Makes what fires metering follow the setting. Two admins may set it at the same time: whoever is last reads what holds.
async fn follow(state: &State) -> Result<(), Problem> {
    for _ in 0..SYNC_ROUNDS {
        let wanted = state.kit.store.billing_settings().await?.schedule;
        let times = wanted.times().map_err(|error| Problem::field("/value", error.to_string()))?;
        state.scheduler.set(&times).await.map_err(|error| {
            tracing::error!(error = %error, "the schedule does not follow its setting");
            not_followed()
        })?;
        if state.kit.store.billing_settings().await?.schedule == wanted {
            return Ok(());
        }
    }
    Err(not_followed())
}

fn not_followed() -> Problem {
    let detail = "The setting is stored, and the schedule does not follow it yet. Send the same request again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "schedule_not_set", detail).retry_after(AGAIN_SECS)
}

async fn read(kit: &Kit) -> Result<[Setting; 3], Problem> {
    let (settings, stamps) = kit.store.settings_read().await?;
    let BillingSettings { switch, per, schedule } = settings;
    let hour = kit.clock.now().hour();
    let since = |hour: Hour| (hour > Hour::EPOCH).then(|| hour.to_string());
    let newest = switch.entries().last().copied();
    let (hours_since, hours) = per.newest();
    let cron = SettingValue::Text(schedule.expression().to_owned());
    let all = [
        Setting {
            key: HOURLY_BILLING_ENABLED,
            description: "Whether server-hours are billed. Hours while it is off are never billed.",
            value: SettingValue::Truth(newest.is_some_and(|(_, on)| on)),
            default: SettingValue::Truth(false),
            in_force: SettingValue::Truth(switch.is_on(hour)),
            since: newest.and_then(|(from, _)| since(from)),
            updated_at: None,
            updated_by: None,
        },
        Setting {
            key: HOURS_PER_MONTH,
            description: "Hours a server's monthly price is spread over; no month costs more than the price.",
            value: SettingValue::Number(hours.into()),
            default: SettingValue::Number(DEFAULT_HOURS_PER_MONTH.into()),
            in_force: SettingValue::Number(per.at(hour).into()),
            since: hours_since.and_then(since),
            updated_at: None,
            updated_by: None,
        },
        Setting {
            key: CRON_SCHEDULE,
            description: "When hours are billed: minute, hour, day of month, month, day of week, in UTC.",
            value: cron.clone(),
            default: SettingValue::Text(DEFAULT_CRON.to_owned()),
            in_force: cron,
            since: None,
            updated_at: None,
            updated_by: None,
        },
    ];
    Ok(all.map(|setting| {
        let stamp_of = stamps.get(setting.key);
        stamp(setting, stamp_of)
    }))
}

fn stamp(setting: Setting, stamp: Option<&SettingStamp>) -> Setting {
    let updated_at = stamp.map(|stamp| stamp.at.to_string());
    Setting { updated_at, updated_by: stamp.map(|stamp| stamp.by.clone()), ..setting }
}
