//! What handlers take: bodies and ids that have been checked, or a problem that names the field.

use crate::problem::{FieldError, Problem};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use domain::Id;
use garde::Validate;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::{Path as FieldPath, Segment};

/// A JSON body that was read and validated. Unknown fields are refused by the type (`deny_unknown_fields`).
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| Problem::of(rejection.status()))?;
        read_json(&body).map(Self)
    }
}

/// Reads and validates a body.
///
/// # Errors
/// 400 where it is not JSON, 422 with the bad fields where it is not acceptable.
pub fn read_json<T: DeserializeOwned + Validate<Context = ()>>(body: &[u8]) -> Result<T, Problem> {
    let malformed =
        || Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON that can be read.");
    let mut json = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // Of a number where a word of a list belongs, serde_json says that it is no JSON.
        if error.inner().is_data() || serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            let (pointer, detail) = (pointer(error.path(), error.inner()), sentence(error.inner()));
            Problem::fields(vec![FieldError::body(pointer, detail)])
        } else {
            malformed()
        }
    })?;
    json.end().map_err(|_| malformed())?;
    value.validate().map_err(|report| {
        let errors = report.iter().map(|(path, error)| {
            let pointer: String = path
                .to_string()
                .split(['.', '[', ']'])
                .filter(|part| !part.is_empty())
                .fold(String::new(), |pointer, part| pointer + "/" + part);
            FieldError::body(pointer, error.message())
        });
        Problem::fields(errors.collect())
    })?;
    Ok(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// The path of a bad field; of one that is unknown, missing or there twice, its own.
fn pointer(path: &FieldPath, error: &serde_json::Error) -> String {
    let mut pointer = path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", escape(key)),
        Segment::Enum { variant } => format!("{pointer}/{}", escape(variant)),
        Segment::Unknown => pointer,
    });
    if let Some(name) = named_field(&error.to_string()).map(escape)
        && !pointer.ends_with(&format!("/{name}"))
    {
        pointer = format!("{pointer}/{name}");
    }
    pointer
}

/// The field that serde names where its path does not lead to it.
pub(crate) fn named_field(text: &str) -> Option<&str> {
    let field = |start: &str| text.strip_prefix(start).and_then(|rest| rest.split('`').next());
    ["unknown field `", "missing field `", "duplicate field `"].into_iter().find_map(field)
}

/// RFC 6901, 3.
fn escape(key: &str) -> String {
    key.chars().take(100).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// serde's words, without the place in the text: the pointer names it. What was sent is repeated at most in part.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let text = if error.is_data() { text } else { "it is not of the right type" };
    text.chars().take(300).collect()
}

/// The one id of a path. A text that cannot be an id names nothing: 404.
#[derive(Clone, Debug)]
pub struct PathId(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| Id::new(&text).ok());
        id.map(Self).ok_or_else(Problem::not_found)
    }
}
