//! `GET /payments/stats/summary`: what came in and went out, from the roll-ups.

use crate::State;
use crate::view::usd;
use api::{Admin, Problem, Query};
use axum::extract::State as With;
use domain::wallet::Kind;
use domain::{Amount, Month, Timestamp, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::RevenueMonth;
use utoipa::ToSchema;

/// Days before the last month's first that the first month contains: a year back.
const USUAL_DAYS: i64 = 334;

/// Which months.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsParams {
    /// First month, `YYYY-MM`; a year back where it is missing.
    #[garde(length(max = 7))]
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    from: Option<String>,
    /// Last month, `YYYY-MM`; this one where it is missing.
    #[garde(length(max = 7))]
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    to: Option<String>,
}

/// Money of a time, in USD.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sums {
    /// Captured, and credited.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "20.00")]
    captured: String,
    /// Given back; positive.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "5.00")]
    refunded: String,
    /// Taken by disputes, less what was won back; positive.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "0.00")]
    disputed: String,
    /// What is left.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "15.00")]
    net: String,
}

/// One month.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthSums {
    /// `YYYY-MM`.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
    /// Its money.
    #[serde(flatten)]
    sums: Sums,
}

/// The months and their sum.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Always `USD`.
    #[schema(pattern = "^USD$")]
    currency: &'static str,
    /// All of them together.
    total: Sums,
    /// Those in which something happened, oldest first.
    months: Vec<MonthSums>,
}

impl Sums {
    fn of<'a>(months: impl Iterator<Item = &'a RevenueMonth> + Clone) -> Self {
        let sum = |kind: Kind| months.clone().map(|month| month.of(kind)).sum::<Amount>();
        let (captured, refunded, disputed) = (sum(Kind::Payment), sum(Kind::Refund), sum(Kind::Reversal));
        Self {
            captured: usd(captured),
            refunded: usd(-refunded),
            disputed: usd(-disputed),
            net: usd(captured + refunded + disputed),
        }
    }
}

fn month(name: &'static str, text: &str) -> Result<Month, Problem> {
    let wrong = |_| Problem::parameter(name, "a month is written YYYY-MM");
    Ok(Timestamp::parse(&format!("{text}-01T00:00:00Z")).map_err(wrong)?.hour().month())
}

/// What came in and went out, by month: captured, refunded, disputed.
#[utoipa::path(
    get, path = "/payments/stats/summary", tag = "payments", operation_id = "payment_stats", params(StatsParams),
    responses((status = 200, body = Summary)), security(("bearer" = ["admin"]))
)]
pub async fn summary(
    With(state): With<State>,
    _: Admin,
    Query(params): Query<StatsParams>,
) -> Result<axum::Json<Summary>, Problem> {
    let now = state.kit.clock.now().hour().month();
    let to = params.to.as_deref().map_or(Ok(now), |text| month("to", text))?;
    let year_back = to.start().start().plus_secs(-USUAL_DAYS * 86_400).hour().month();
    let from = params.from.as_deref().map_or(Ok(year_back), |text| month("from", text))?;
    let months = state.kit.store.revenue_months(Unit::Usd, from, to).await?;
    let total = Sums::of(months.iter());
    let months = months.iter().map(|one| MonthSums { month: one.month.clone(), sums: Sums::of(std::iter::once(one)) });
    Ok(axum::Json(Summary { currency: "USD", total, months: months.collect() }))
}
