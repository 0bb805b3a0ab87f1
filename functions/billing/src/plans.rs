//! `GET /billing/plans`: what servers cost, in both units.

use api::{Kit, PageParams, Paged, Problem, Query, read_cursor, write_cursor};
use axum::Json;
use axum::extract::State as With;
use domain::plan::{Metering, Plan, PlanVersion};
use domain::{Hour, Id, Unit};
use serde::Serialize;
use utoipa::ToSchema;

/// A version of a plan's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionView {
    /// Its name.
    id: String,
    /// First hour it is in force.
    #[schema(format = DateTime)]
    from: String,
    /// Monthly price of a server that is paid from USD credits.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    price_usd: String,
    /// Monthly price of a server that is paid in tokens: the same money, 100 tokens to the dollar.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    price_token: String,
    /// `hourly`: started hours count in full. `per-second`: exact seconds do.
    #[schema(pattern = "^(hourly|per-second)$")]
    metering: &'static str,
    /// States that are billed; `null`: all but `provisioning` and `error`.
    billable_states: Option<Vec<String>>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanView {
    /// Its id.
    id: String,
    /// Hours the monthly price is spread over: so many hours cost exactly the price, more cost nothing more.
    hours_per_month: u16,
    /// The version in force.
    current: VersionView,
    /// The next one, where one is known.
    next: Option<VersionView>,
}

/// The plans with the prices in force.
#[utoipa::path(
    get, path = "/billing/plans", tag = "billing", operation_id = "plans", params(PageParams),
    responses((status = 200, body = Paged<PlanView>))
)]
pub async fn list(With(kit): With<Kit>, Query(params): Query<PageParams>) -> Result<Json<Paged<PlanView>>, Problem> {
    let after: Option<Id> = read_cursor(params.cursor.as_deref())?;
    let (plans, settings) = tokio::try_join!(kit.store.plan_list(), kit.store.billing_settings())?;
    let hour = kit.clock.now().hour();
    let per = settings.per.at(hour);
    let mut plans: Vec<&Plan> =
        plans.values().filter(|plan| after.as_ref().is_none_or(|after| plan.id > *after)).collect();
    plans.sort_by(|a, b| a.id.cmp(&b.id));
    let mut views = plans.into_iter().filter_map(|plan| PlanView::of(plan, hour, per));
    let data: Vec<PlanView> = views.by_ref().take(params.rows()).collect();
    let last = data.last().filter(|_| views.next().is_some());
    let next_cursor = last.map(|plan| write_cursor(&plan.id)).transpose()?;
    Ok(Json(Paged { data, next_cursor }))
}

impl PlanView {
    /// `None` before its first version is in force.
    fn of(plan: &Plan, hour: Hour, per: u16) -> Option<Self> {
        let current = plan.versions.iter().rev().find(|version| version.from <= hour)?;
        let next = plan.versions.iter().find(|version| version.from > hour);
        Some(Self {
            id: plan.id.to_string(),
            hours_per_month: per,
            current: VersionView::of(current),
            next: next.map(VersionView::of),
        })
    }
}

impl VersionView {
    fn of(version: &PlanVersion) -> Self {
        let terms = &version.terms;
        let states = terms.billable_states.as_ref();
        Self {
            id: terms.version.to_string(),
            from: version.from.to_string(),
            price_usd: terms.price.display(Unit::Usd),
            price_token: terms.price.display(Unit::Token),
            metering: match terms.metering {
                Metering::Hourly => "hourly",
                Metering::PerSecond => "per-second",
            },
            billable_states: states.map(|states| states.iter().map(ToString::to_string).collect()),
        }
    }
}
