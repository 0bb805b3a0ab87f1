//! `GET /payments/{id}`.

use crate::State;
use crate::view::PaymentView;
use api::{Caller, PathId, Problem};
use axum::extract::State as With;
use domain::account::Role;

/// A payment: one's own, or any for an admin.
#[utoipa::path(
    get, path = "/payments/{id}", tag = "payments", operation_id = "payment",
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 200, body = PaymentView)), security(("bearer" = []))
)]
pub async fn show(
    With(state): With<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<axum::Json<PaymentView>, Problem> {
    let (payment, _) = state.kit.store.payment(&id).await?.ok_or_else(Problem::not_found)?;
    match caller.role {
        Role::Admin => Ok(axum::Json(PaymentView::for_operator(payment))),
        Role::User if payment.customer == caller.user => Ok(axum::Json(payment.into())),
        Role::User => Err(Problem::not_found()),
    }
}
