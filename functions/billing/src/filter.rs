//! What lists of the ledger can be narrowed down to, and the query parameters that say so.

use crate::transaction::KindName;
use api::dates::{Span, SpanParams};
use api::{Problem, transaction_id};
use domain::Unit;
use domain::wallet::{Kind, Page};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Longest text that is searched for, in bytes.
const MAX_SEARCH_BYTES: usize = 100;

/// A unit in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnitName {
    /// USD credits.
    Usd,
    /// Tokens.
    Token,
}

impl UnitName {
    /// As the ledger calls it.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Usd => Unit::Usd,
            Self::Token => Unit::Token,
        }
    }
}

/// Which chains.
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChainParams {
    /// Only of this wallet.
    #[garde(skip)]
    #[param(inline)]
    unit: Option<UnitName>,
    /// Only of this lane; 0 is the first.
    #[garde(skip)]
    lane: Option<u16>,
}

impl ChainParams {
    /// As [`crate::transactions::open`] takes it.
    #[must_use]
    pub fn chains(&self) -> Chains {
        Chains { unit: self.unit.map(UnitName::unit), lane: self.lane }
    }
}

/// Which of a customer's chains a list is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chains {
    /// One wallet.
    pub unit: Option<Unit>,
    /// One lane.
    pub lane: Option<u16>,
}

/// Which of their pages.
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageFilterParams {
    /// Only of this kind.
    #[serde(rename = "type")]
    #[garde(skip)]
    #[param(rename = "type", inline)]
    kind: Option<KindName>,
    /// Only where reason, reference, actor, id or a server's name has this in it, in any case.
    #[garde(length(max = MAX_SEARCH_BYTES))]
    #[param(max_length = 100)]
    search: Option<String>,
}

impl PageFilterParams {
    /// The filter they ask for, within a span of when pages were posted.
    ///
    /// # Errors
    /// As [`SpanParams::span`].
    pub fn filter(&self, span: &SpanParams) -> Result<Filter, Problem> {
        Ok(Filter {
            span: span.span()?,
            kind: self.kind.map(KindName::kind),
            search: self.search.as_ref().map(|text| text.to_lowercase()),
        })
    }
}

/// Which pages a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Posted when.
    pub span: Span,
    /// Of which kind.
    pub kind: Option<Kind>,
    /// With which text, lower case.
    pub search: Option<String>,
}

impl Filter {
    /// Whether pages are left out one by one.
    #[must_use]
    pub fn is_picky(&self) -> bool {
        self.kind.is_some() || self.search.is_some()
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.is_picky() && self.span == Span::default()
    }

    /// Whether a page is shown.
    #[must_use]
    pub fn shows(&self, page: &Page) -> bool {
        self.kind.is_none_or(|kind| kind == page.kind) && self.search.as_deref().is_none_or(|text| has(page, text))
    }
}

fn has(page: &Page, text: &str) -> bool {
    let has = |field: &str| field.to_lowercase().contains(text);
    let fields = [&page.reason, &page.reference, &page.actor];
    fields.into_iter().flatten().any(|field| has(field))
        || has(&transaction_id(&page.wallet, page.seq))
        || page.lines.iter().any(|line| has(line.server.as_str()))
}
