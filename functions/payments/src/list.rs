//! `GET /payments`.

use crate::State;
use crate::view::PaymentView;
use api::{Caller, MAX_LIMIT, Paged, Problem, Query, default_limit, read_cursor, write_cursor};
use axum::extract::State as With;
use domain::Timestamp;
use domain::payment::{Processor, Status};
use garde::Validate;
use serde::Deserialize;
use store::PaymentFilter;
use utoipa::IntoParams;

/// Which payments, how many, from where.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PaymentParams {
    /// Rows, 1 to 100; 20 where it is missing.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before.
    #[garde(length(max = 2_048))]
    cursor: Option<String>,
    /// Only in this state.
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^[a-z_]+$")]
    status: Option<Status>,
    /// Only by this processor: `stripe` or `paypal`.
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^(stripe|paypal)$")]
    processor: Option<Processor>,
    /// Made at or after, RFC 3339.
    #[garde(length(max = 40))]
    #[param(format = DateTime)]
    from: Option<String>,
    /// Made before, RFC 3339.
    #[garde(length(max = 40))]
    #[param(format = DateTime)]
    to: Option<String>,
}

fn time(name: &'static str, text: Option<&String>) -> Result<Option<Timestamp>, Problem> {
    let parse = |text: &String| Timestamp::parse(text).map_err(|error| Problem::parameter(name, error.to_string()));
    text.map(parse).transpose()
}

/// One's own payments, newest first.
#[utoipa::path(
    get, path = "/payments", tag = "payments", operation_id = "payments",
    responses((status = 200, body = Paged<PaymentView>)), security(("bearer" = []))
)]
pub async fn list(
    With(state): With<State>,
    caller: Caller,
    Query(params): Query<PaymentParams>,
) -> Result<axum::Json<Paged<PaymentView>>, Problem> {
    let (from, to) = (time("from", params.from.as_ref())?, time("to", params.to.as_ref())?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::parameter("from", "it is after `to`"));
    }
    let filter = PaymentFilter { status: params.status, processor: params.processor, from, to };
    let after: Option<String> = read_cursor(params.cursor.as_deref())?;
    if after.as_ref().is_some_and(|after| !filter.covers(after)) {
        return Err(Problem::parameter("cursor", "it belongs to another list"));
    }
    let limit = u16::try_from(params.limit).unwrap_or(1);
    let page = state.kit.store.payments_of(&caller.user, &filter, limit, after).await?;
    let next_cursor = page.next.as_ref().map(write_cursor).transpose()?;
    Ok(axum::Json(Paged { data: page.payments.into_iter().map(PaymentView::from).collect(), next_cursor }))
}
