//! All HTTP areas in one router: what API Gateway and the function URL are in the cloud.

use crate::shop::Shop;
use api::openapi;
use axum::Router;
use utoipa::openapi::OpenApi;

/// The description of all areas: what `functions/health/openapi.json` must say.
#[must_use]
pub fn openapi() -> OpenApi {
    openapi::document(areas())
}

/// What each area says of itself.
#[must_use]
pub fn areas() -> Vec<OpenApi> {
    vec![
        health::routes().into_openapi(),
        auth::routes().into_openapi(),
        billing::routes().into_openapi(),
        payments::routes().into_openapi(),
        admin::routes().into_openapi(),
    ]
}

/// The router.
pub fn router(shop: &Shop) -> Router {
    let Shop { kit, auth, billing, payments, admin, .. } = shop.clone();
    let health = kit.of(health::AREA);
    let areas = [
        api::area(health.clone(), health::routes(), health).0,
        api::area(auth.kit.clone(), auth::routes(), auth.clone()).0,
        api::area(billing.kit.clone(), billing::routes(), billing).0,
        api::area(payments.kit.clone(), payments::routes(), payments).0,
        api::area(admin.kit.clone(), admin::routes(), admin).0,
    ];
    let area = areas.into_iter().fold(Router::new(), Router::merge);
    let root = health::root().merge(auth::root(auth));
    api::serve(&[], area, root)
}
