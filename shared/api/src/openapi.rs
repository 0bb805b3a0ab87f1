//! The description of the API, from the code: each area's operations, and what they have in common.

use crate::problem::{FieldError, ProblemSchema};
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, RefOr, Server,
};
use utoipa::{PartialSchema, ToSchema};

/// Media type of errors.
const PROBLEM: &str = "application/problem+json";

/// The whole description of some areas, as it is published.
#[must_use]
pub fn document(areas: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    let info = InfoBuilder::new()
        .title("Skymeter")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Accounts, prepaid wallets, payments and hourly billing. Errors are application/problem+json (RFC 9457). Every path \
             stands under /api as well. Amounts are decimal strings with their unit beside them; times are RFC 3339, UTC.",
        ))
        .license(Some(license))
        .build();
    let mut document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/api/v1")]))
        .components(Some(Components::new()))
        .build();
    for area in areas {
        document.merge(area);
    }
    let components = document.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), ProblemSchema::schema());
    components.schemas.insert("FieldError".to_owned(), FieldError::schema());
    let mut nested = Vec::new();
    ProblemSchema::schemas(&mut nested);
    components.schemas.extend(nested);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An access token of POST /auth/login, or an API key. Operations with the scope `admin` are for admins.",
        ))
        .build();
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            describe_errors(operation);
        }
    }
    document
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

/// Whatever an operation says by itself, it may answer with a problem.
fn describe_errors(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new().description("A problem (RFC 9457)").content(PROBLEM, content).build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(problem));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            // OpenAPI asks for one; the schema says the rest.
            "Done".clone_into(&mut response.description);
        }
    }
}
