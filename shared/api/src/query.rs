//! Query strings that have been checked, or a problem that names the parameter.
//!
//! Parameters that several operations have (a page, a span of time) are a struct of their own, and an operation takes several
//! structs. `#[serde(flatten)]` is no way to do it: it does not go together with `deny_unknown_fields`, and numbers behind it
//! stay text.

use crate::extract::named_field;
use crate::problem::{FieldError, Problem};
use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;
use garde::Validate;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

/// Longest query string that is read, in bytes.
const MAX_QUERY_BYTES: usize = 4 * 1024;
/// Longest explanation, in characters: it may repeat what was sent.
const MAX_DETAIL_CHARS: usize = 300;

/// The query string, read and validated. Unknown parameters are refused by the type.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = text(parts, state).await?;
        let value: T = read(&query)?;
        refuse(errors_of(&value))?;
        Ok(Self(value))
    }
}

/// The query string as two to four structs, each with its own parameters. One that none of them has is refused.
#[derive(Clone, Copy, Debug)]
pub struct Queries<T>(pub T);

macro_rules! queries {
    ($($type:ident $value:ident),+) => {
        impl<$($type,)+ S> FromRequestParts<S> for Queries<($($type,)+)>
        where
            $($type: DeserializeOwned + Validate<Context = ()> + IntoParams,)+
            S: Send + Sync,
        {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let query = text(parts, state).await?;
                let [$($value),+] = share_out(&query, &[$(names::<$type>()),+])?;
                $(let $value: $type = read(&$value)?;)+
                refuse([$(errors_of(&$value)),+].concat())?;
                Ok(Self(($($value,)+)))
            }
        }
    };
}

queries!(A first, B second);
queries!(A first, B second, C third);
queries!(A first, B second, C third, D fourth);

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
    let query = query.unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        return Err(Problem::parameter("query", "it is too long"));
    }
    Ok(query)
}

/// The parameters of a struct, as its description has them.
fn names<T: IntoParams>() -> Vec<String> {
    T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect()
}

/// To each struct, the parameters it has.
fn share_out<const N: usize>(query: &str, names: &[Vec<String>; N]) -> Result<[String; N], Problem> {
    let mut shares = std::array::from_fn(|_| form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let owner = names.iter().position(|names| names.iter().any(|own| *own == name));
        let Some(share) = owner.and_then(|owner| shares.get_mut(owner)) else { return Err(unknown(&name, names)) };
        share.append_pair(&name, &value);
    }
    Ok(shares.map(|mut share| share.finish()))
}

/// As serde words it.
fn unknown(name: &str, names: &[Vec<String>]) -> Problem {
    let known = names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Problem::parameter(name, short(&format!("unknown field `{name}`, expected one of {known}")))
}

fn short(text: &str) -> String {
    text.chars().take(MAX_DETAIL_CHARS).collect()
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let text = short(&error.inner().to_string());
        let name = named_field(&text).map(str::to_owned);
        Problem::parameter(name.unwrap_or_else(|| error.path().to_string()), text)
    })
}

fn errors_of<T: Validate<Context = ()>>(value: &T) -> Vec<FieldError> {
    let error = |(path, error): &(garde::Path, garde::Error)| FieldError::parameter(path.to_string(), error.message());
    value.validate().err().map(|report| report.iter().map(error).collect()).unwrap_or_default()
}

fn refuse(errors: Vec<FieldError>) -> Result<(), Problem> {
    if errors.is_empty() { Ok(()) } else { Err(Problem::parameter("", "").with_errors(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageParams;
    use axum::http::Request;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, Validate, IntoParams)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(rename = "type")]
        #[garde(skip)]
        #[param(rename = "type")]
        kind: Option<String>,
        #[garde(range(max = 9))]
        lane: Option<u16>,
    }

    async fn ask(query: &str) -> Result<(PageParams, Wanted), Problem> {
        let (mut parts, ()) = Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
        Queries::<(PageParams, Wanted)>::from_request_parts(&mut parts, &()).await.map(|Queries(both)| both)
    }

    #[tokio::test]
    async fn each_struct_takes_its_own_and_what_none_has_is_refused() {
        let (page, wanted) = ask("lane=7&limit=3&type=a%26b&cursor=x").await.unwrap();
        assert_eq!((page.limit, page.cursor.as_deref()), (3, Some("x")));
        assert_eq!((wanted.lane, wanted.kind.as_deref()), (Some(7), Some("a&b")));
        assert_eq!(ask("").await.unwrap().0.limit, 20);
        for (query, named) in [
            ("limit=3&colour=red", "colour"),
            ("kind=a", "kind"),
            ("limit=many", "limit"),
            ("lane=70000", "lane"),
            ("limit=101", "limit"),
            ("lane=10&type=long", "lane"),
        ] {
            let problem = ask(query).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{query}");
            assert!(format!("{problem:?}").contains(&format!("parameter: Some(\"{named}\")")), "{query}: {problem:?}");
        }
        assert_eq!(ask("limit=1&limit=2").await.unwrap_err().status(), 400);
        let both = format!("{:?}", ask("limit=0&lane=10").await.unwrap_err());
        assert!(both.contains("\"limit\"") && both.contains("\"lane\""), "{both}");
    }
}
