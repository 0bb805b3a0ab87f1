//! The description of the whole API, and two pages that show it. Everything they need comes from here: no script or style of
//! somebody else's server runs beside a customer's token.
//!
//! The description is a file that the tests compare with the code of all areas: one function cannot link all others.

use aide::redoc::Redoc;
use api::Problem;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// All areas' operations.
pub const OPENAPI: &str = include_str!("../openapi.json");
/// Where the pages find it.
const OPENAPI_PATH: &str = "/openapi.json";
/// What the pages may load: from here, and what stands in them.
const CSP: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
);

/// The pages, as they stand at the root.
pub fn routes() -> Router {
    Router::new()
        .route(OPENAPI_PATH, get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || swagger("")))
        .route("/docs/{*file}", get(async |Path(file): Path<String>| swagger(&file)))
        .route("/redoc", get(redoc))
}

fn swagger(file: &str) -> Response {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from(OPENAPI_PATH)));
    match utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let media = HeaderValue::from_str(&file.content_type);
            let media = media.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            ([(header::CONTENT_TYPE, media), CSP], file.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::not_found().into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a file of the API's page cannot be made");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    }
}

async fn redoc() -> Response {
    let page = Redoc::new(OPENAPI_PATH).with_title("Skymeter API").html();
    ([CSP], Html(page)).into_response()
}
