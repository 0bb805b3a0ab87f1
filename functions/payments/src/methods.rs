//! `GET|DELETE /payments/methods[/{id}]`: saved cards.

use crate::State;
use api::{Caller, ClientIp, PathId, Problem};
use axum::extract::State as With;
use axum::http::StatusCode;
use cashier::{SavedMethod, limits};
use serde::Serialize;
use utoipa::ToSchema;

/// A saved method.
#[derive(Debug, Serialize, ToSchema)]
pub struct MethodView {
    /// The processor's id.
    id: String,
    /// Always `stripe`.
    #[schema(pattern = "^(stripe|paypal)$")]
    processor: &'static str,
    /// `visa`.
    brand: Option<String>,
    /// The last four digits.
    last4: Option<String>,
    /// 1 to 12.
    #[schema(minimum = 1, maximum = 12)]
    exp_month: Option<u32>,
    /// Four digits.
    #[schema(minimum = 0)]
    exp_year: Option<u32>,
    /// When it was saved.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

/// Saved methods: few, so all at once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Methods {
    /// Newest first.
    data: Vec<MethodView>,
    /// Always `null`.
    next_cursor: Option<String>,
}

impl From<SavedMethod> for MethodView {
    fn from(method: SavedMethod) -> Self {
        Self {
            id: method.id,
            processor: method.processor.as_str(),
            brand: method.brand,
            last4: method.last4,
            exp_month: method.exp_month,
            exp_year: method.exp_year,
            created_at: method.created_at.map(|at| at.to_string()),
        }
    }
}

/// One's own saved methods.
#[utoipa::path(
    get, path = "/payments/methods", tag = "payments", operation_id = "payment_methods",
    responses((status = 200, body = Methods)), security(("bearer" = []))
)]
pub async fn list(With(state): With<State>, caller: Caller, ip: ClientIp) -> Result<axum::Json<Methods>, Problem> {
    limits::read(&state.kit, &caller, ip).await?;
    let methods = state.cashier.methods(&caller.user).await?;
    Ok(axum::Json(Methods { data: methods.into_iter().map(MethodView::from).collect(), next_cursor: None }))
}

/// Forgets a saved method, for ever.
#[utoipa::path(
    delete, path = "/payments/methods/{id}", tag = "payments", operation_id = "payment_method_delete",
    params(("id" = String, Path, description = "The method.")),
    responses((status = 204)), security(("bearer" = []))
)]
pub async fn delete(
    With(state): With<State>,
    caller: Caller,
    ip: ClientIp,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    limits::pay(&state.kit, &caller, ip).await?;
    state.cashier.method_delete(&caller.user, id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
