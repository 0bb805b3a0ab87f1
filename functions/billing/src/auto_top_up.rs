//! `GET|PUT /billing/auto-top-up`: buying credits whenever the balance falls below a threshold. What is set here is only ever
//! acted on by a payment that was captured.

use crate::State;
use api::{AmountText, Caller, ClientIp, FieldError, Json as Body, Kit, Problem, show as text};
use axum::Json;
use axum::extract::State as With;
use cashier::{CashierError, is_object_id, limits};
use domain::alerts::{AlertError, TopUp};
use domain::{Amount, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Automatic top-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TopUpView {
    /// Whether it is done.
    enabled: bool,
    /// Balance below which it is done.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$", example = "5.00")]
    threshold: String,
    /// How much is bought.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$", example = "20.00")]
    amount: String,
    /// The saved payment method, as `/payments/methods` names it.
    payment_method: Option<String>,
    /// Most that is bought in one UTC day.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$", example = "100.00")]
    daily_limit: String,
    /// Of all amounts: `usd`.
    #[schema(pattern = "^usd$")]
    unit: &'static str,
}

/// What it shall be from now on.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUpBody {
    /// Whether to do it.
    #[garde(skip)]
    enabled: bool,
    /// Balance in USD below which to do it, 0 to 100000.
    #[garde(skip)]
    threshold: AmountText,
    /// How much to buy, 1 to 1000 USD.
    #[garde(skip)]
    amount: AmountText,
    /// A saved payment method; needed to switch it on.
    #[garde(inner(custom(object_id)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_-]+$")]
    payment_method: Option<String>,
    /// Most to buy in one UTC day: at least the amount, at most 10000 USD.
    #[garde(skip)]
    daily_limit: AmountText,
}

fn object_id(text: &str, (): &()) -> garde::Result {
    let detail = "it is not the id of a payment method";
    if is_object_id(text) { Ok(()) } else { Err(garde::Error::new(detail)) }
}

/// The settings of automatic top-up.
#[utoipa::path(
    get, path = "/billing/auto-top-up", tag = "billing", operation_id = "auto_top_up",
    responses((status = 200, body = TopUpView)), security(("bearer" = []))
)]
pub async fn show(With(kit): With<Kit>, caller: Caller) -> Result<Json<TopUpView>, Problem> {
    Ok(Json(TopUpView::of(kit.store.top_up(&caller.user).await?)))
}

/// Sets automatic top-up.
#[utoipa::path(
    put, path = "/billing/auto-top-up", tag = "billing", operation_id = "set_auto_top_up", request_body = TopUpBody,
    responses((status = 200, body = TopUpView)), security(("bearer" = []))
)]
pub async fn change(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    Body(body): Body<TopUpBody>,
) -> Result<Json<TopUpView>, Problem> {
    let top_up = body.read()?;
    if let Some(method) = &top_up.payment_method {
        limits::pay(&state.kit, &caller, ip).await?;
        match state.cashier.method_of(&caller.user, method).await {
            Ok(_) => {}
            Err(CashierError::NotFound | CashierError::NotConfigured(_)) => {
                return Err(Problem::field("/payment_method", "it is none of the saved methods"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    state.kit.store.top_up_put(&caller.user, &top_up).await?;
    Ok(Json(TopUpView::of(top_up)))
}

impl TopUpBody {
    fn read(self) -> Result<TopUp, Problem> {
        let mut errors = Vec::new();
        let mut amount = |name: &str, given: &AmountText| {
            given.usd().unwrap_or_else(|error| {
                errors.push(FieldError::body(name, error.to_string()));
                Amount::ZERO
            })
        };
        let top_up = TopUp {
            enabled: self.enabled,
            threshold: amount("/threshold", &self.threshold),
            amount: amount("/amount", &self.amount),
            payment_method: self.payment_method,
            daily_limit: amount("/daily_limit", &self.daily_limit),
        };
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        match top_up.check() {
            Ok(()) => Ok(top_up),
            Err(error) => {
                let pointer = match error {
                    AlertError::Threshold => "/threshold",
                    AlertError::Amount => "/amount",
                    AlertError::DailyLimit => "/daily_limit",
                    AlertError::PaymentMethod => "/payment_method",
                };
                Err(Problem::field(pointer, error.to_string()))
            }
        }
    }
}

impl TopUpView {
    fn of(top_up: TopUp) -> Self {
        let usd = |amount: Amount| text(amount, Unit::Usd);
        Self {
            enabled: top_up.enabled,
            threshold: usd(top_up.threshold),
            amount: usd(top_up.amount),
            payment_method: top_up.payment_method,
            daily_limit: usd(top_up.daily_limit),
            unit: Unit::Usd.as_str(),
        }
    }
}
