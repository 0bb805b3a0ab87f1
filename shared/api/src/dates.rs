//! Times in query strings: RFC 3339, or a UTC date.

use crate::problem::Problem;
use domain::{Month, Timestamp};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;

/// Seconds of a day.
const DAY_SECS: i64 = 86_400;
/// Longest text that is looked at, in bytes.
const MAX_TIME_BYTES: usize = 40;

/// From when, until when. Lists that can be cut so take it beside their own parameters, see [`crate::Queries`]; which time is meant,
/// the operation says.
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SpanParams {
    /// Only from this date or time on, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-01")]
    from: Option<String>,
    /// Only up to this date, its last second included, or before this time, UTC.
    #[garde(length(max = MAX_TIME_BYTES))]
    #[param(max_length = 40, example = "2026-11-30")]
    to: Option<String>,
}

impl SpanParams {
    /// The span they ask for.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn span(&self) -> Result<Span, Problem> {
        Span::parse(self.from.as_deref(), self.to.as_deref())
    }
}

/// A span of time to list: from the first second, to the one after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First second.
    pub from: Option<Timestamp>,
    /// The second after the last.
    pub to: Option<Timestamp>,
}

impl Span {
    /// A date begins with its first second and ends with its last; a time ends before itself.
    fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, Problem> {
        let span = Self {
            from: from.map(|text| time("from", text)).transpose()?.map(|(at, _)| at),
            to: to
                .map(|text| time("to", text))
                .transpose()?
                .map(|(at, date)| if date { at.plus_secs(DAY_SECS) } else { at }),
        };
        match span {
            Self { from: Some(from), to: Some(to) } if from >= to => {
                Err(Problem::parameter("to", "it does not lie after `from`"))
            }
            _ => Ok(span),
        }
    }
}

/// A time, and whether it was a date.
fn time(name: &'static str, text: &str) -> Result<(Timestamp, bool), Problem> {
    let wrong = || Problem::parameter(name, "give a UTC date (2026-11-30) or a time (2026-11-30T12:00:00Z)");
    if text.len() > MAX_TIME_BYTES {
        return Err(wrong());
    }
    match Timestamp::parse(text) {
        Ok(at) => Ok((at, false)),
        Err(_) if text.len() == "2026-11-30".len() => {
            Timestamp::parse(&format!("{text}T00:00:00Z")).map(|at| (at, true)).map_err(|_| wrong())
        }
        Err(_) => Err(wrong()),
    }
}

/// A month, `2026-11`.
///
/// # Errors
/// 400 that names `month`.
pub fn month(text: &str) -> Result<Month, Problem> {
    Month::parse(text).map_err(|_| Problem::parameter("month", "give a month as 2026-11, from 1970 to 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_day_and_a_time_a_second() {
        let at = |text: &str| Some(Timestamp::parse(text).unwrap());
        let day = Span::parse(Some("2026-11-30"), Some("2026-11-30")).unwrap();
        assert_eq!((day.from, day.to), (at("2026-11-30T00:00:00Z"), at("2026-12-01T00:00:00Z")));
        let span = Span::parse(None, Some("2026-11-30T12:00:00+01:00")).unwrap();
        assert_eq!((span.from, span.to), (None, at("2026-11-30T11:00:00Z")));
        for wrong in ["", "2026-11", "2026-02-30", "30.11.2026", "1969-01-01", "now", "2026-11-30T", "２０２６-11-3"]
        {
            assert!(Span::parse(Some(wrong), None).is_err(), "{wrong}");
        }
        assert!(Span::parse(Some("2026-11-30"), Some("2026-11-29")).is_err());
    }
}
