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
    let may_see = match caller.role {
        Role::Admin => true,
        Role::User => payment.customer == caller.user,
    };
    if may_see { Ok(axum::Json(payment.into())) } else { Err(Problem::not_found()) }
}
