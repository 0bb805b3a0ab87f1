//! What somebody set for their balance, as an export has it.

use api::Money;
use domain::Unit;
use domain::alerts::{Alerts, TopUp};
use serde::Serialize;
use utoipa::ToSchema;

/// At which balances a mail goes out.
#[derive(Serialize, ToSchema)]
pub struct ExportedAlerts {
    /// Balances, highest first.
    thresholds: Vec<Money>,
    /// Whether mails are sent at all.
    email: bool,
}

/// Automatic top-up.
#[derive(Serialize, ToSchema)]
pub struct ExportedTopUp {
    /// Whether it is done.
    enabled: bool,
    /// Balance below which it is done.
    threshold: Money,
    /// How much is bought.
    amount: Money,
    /// The saved payment method.
    payment_method: Option<String>,
    /// Most that is bought in one UTC day.
    daily_limit: Money,
}

impl From<Alerts> for ExportedAlerts {
    fn from(alerts: Alerts) -> Self {
        let thresholds = alerts.thresholds.into_iter().map(|amount| Money::new(amount, Unit::Usd)).collect();
        Self { thresholds, email: alerts.email }
    }
}

impl From<TopUp> for ExportedTopUp {
    fn from(top_up: TopUp) -> Self {
        Self {
            enabled: top_up.enabled,
            threshold: Money::new(top_up.threshold, Unit::Usd),
            amount: Money::new(top_up.amount, Unit::Usd),
            payment_method: top_up.payment_method,
            daily_limit: Money::new(top_up.daily_limit, Unit::Usd),
        }
    }
}
