//! `GET|PUT /billing/alerts`: at which balances a customer wants a mail.

use api::{AmountText, Caller, FieldError, Json as Body, Kit, Problem, show as text};
use axum::Json;
use axum::extract::State as With;
use domain::Unit;
use domain::alerts::{Alerts, MAX_THRESHOLDS, check_threshold};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// At which balances a mail goes out: once each time one falls below a threshold. For tokens the same money counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertsView {
    /// Balances, highest first.
    #[schema(max_items = 10, example = json!(["10.00", "5.00", "0.00"]))]
    thresholds: Vec<String>,
    /// `usd`.
    #[schema(pattern = "^usd$")]
    unit: &'static str,
    /// Whether mails are sent at all.
    email: bool,
}

/// What it shall be from now on.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsBody {
    /// Balances in USD, 0 to 100000; at most ten.
    #[garde(length(max = MAX_THRESHOLDS))]
    #[schema(max_items = 10)]
    thresholds: Vec<AmountText>,
    /// Whether to send mails at all.
    #[garde(skip)]
    email: bool,
}

/// The thresholds.
#[utoipa::path(
    get, path = "/billing/alerts", tag = "billing", operation_id = "alerts",
    responses((status = 200, body = AlertsView)), security(("bearer" = []))
)]
pub async fn show(With(kit): With<Kit>, caller: Caller) -> Result<Json<AlertsView>, Problem> {
    Ok(Json(AlertsView::of(&kit.store.alerts(&caller.user).await?)))
}

/// Sets the thresholds.
#[utoipa::path(
    put, path = "/billing/alerts", tag = "billing", operation_id = "set_alerts", request_body = AlertsBody,
    responses((status = 200, body = AlertsView)), security(("bearer" = []))
)]
pub async fn change(
    With(kit): With<Kit>,
    caller: Caller,
    Body(body): Body<AlertsBody>,
) -> Result<Json<AlertsView>, Problem> {
    let (mut thresholds, mut errors) = (Vec::new(), Vec::new());
    for (index, given) in body.thresholds.iter().enumerate() {
        let checked = given.usd().map_err(|error| error.to_string());
        match checked.and_then(|amount| check_threshold(amount).map(|()| amount).map_err(|error| error.to_string())) {
            Ok(amount) => thresholds.push(amount),
            Err(detail) => errors.push(FieldError::body(format!("/thresholds/{index}"), detail)),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let alerts = Alerts::new(thresholds, body.email);
    kit.store.alerts_put(&caller.user, &alerts).await?;
    Ok(Json(AlertsView::of(&alerts)))
}

impl AlertsView {
    fn of(alerts: &Alerts) -> Self {
        let thresholds = alerts.thresholds.iter().map(|threshold| text(*threshold, Unit::Usd)).collect();
        Self { thresholds, unit: Unit::Usd.as_str(), email: alerts.email }
    }
}
