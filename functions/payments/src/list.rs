//! `GET /payments`.

use crate::State;
use crate::view::PaymentView;
use api::dates::{Span, SpanParams};
use api::{Caller, PageParams, Paged, Problem, Queries, read_cursor, write_cursor};
use axum::extract::State as With;
use domain::payment::{Processor, Status};
use garde::Validate;
use serde::Deserialize;
use store::PaymentFilter;

/// Which payments.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PaymentParams {
    /// Only in this state.
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^[a-z_]+$")]
    status: Option<Status>,
    /// Only by this processor: `stripe` or `paypal`.
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^(stripe|paypal)$")]
    processor: Option<Processor>,
}

/// One's own payments, newest first; `from` and `to` say when they were made.
#[utoipa::path(
    get, path = "/payments", tag = "payments", operation_id = "payments", params(PageParams, PaymentParams, SpanParams),
    responses((status = 200, body = Paged<PaymentView>)), security(("bearer" = []))
)]
pub async fn list(
    With(state): With<State>,
    caller: Caller,
    Queries((page, params, span)): Queries<(PageParams, PaymentParams, SpanParams)>,
) -> Result<axum::Json<Paged<PaymentView>>, Problem> {
    let Span { from, to } = span.span()?;
    let filter = PaymentFilter { status: params.status, processor: params.processor, from, to };
    let after: Option<String> = read_cursor(page.cursor.as_deref())?;
    if after.as_ref().is_some_and(|after| !filter.covers(after)) {
        return Err(Problem::parameter("cursor", "it belongs to another list"));
    }
    let limit = u16::try_from(page.limit).unwrap_or(1);
    let found = state.kit.store.payments_of(&caller.user, &filter, limit, after).await?;
    let next_cursor = found.next.as_ref().map(write_cursor).transpose()?;
    Ok(axum::Json(Paged { data: found.payments.into_iter().map(PaymentView::from).collect(), next_cursor }))
}
