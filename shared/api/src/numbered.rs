//! Lists by pages with numbers, as the systems before had them; the cursor goes on where numbers end.

use crate::page::PageParams;
use crate::problem::Problem;
use axum::http::StatusCode;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Highest page number: beyond, the cursor goes on.
const MAX_PAGE: u32 = 1_000;

/// Which page. Lists that have numbers take it beside [`PageParams`], see [`crate::Queries`].
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NumberParams {
    /// Number of the page, from 1. Not together with `cursor`.
    #[garde(range(min = 1, max = MAX_PAGE))]
    #[param(minimum = 1, maximum = 1000)]
    page: Option<u32>,
}

/// A page of a list by its number; nothing where a cursor was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    page: u32,
    limit: u32,
}

/// Where a numbered page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pagination {
    /// Its number.
    #[schema(minimum = 1)]
    page: u32,
    /// Rows of a page.
    #[schema(minimum = 1, maximum = 100)]
    limit: u32,
    /// All rows; `null` with a filter, where only reading everything would tell.
    total: Option<u64>,
    /// All pages; `null` as `total`.
    pages: Option<u64>,
}

impl NumberParams {
    /// The page that is named; `None` where none is.
    ///
    /// # Errors
    /// 400 where a page and a cursor are given.
    pub fn named(&self, params: &PageParams) -> Result<Option<Numbered>, Problem> {
        match (self.page, &params.cursor) {
            (Some(_), Some(_)) => Err(Problem::parameter("page", "give a page or a cursor, not both")),
            (page, _) => Ok(page.map(|page| Numbered { page, limit: params.limit })),
        }
    }

    /// The page that is named, the first where none is; `None` where a cursor says where to go on.
    ///
    /// # Errors
    /// As [`NumberParams::named`].
    pub fn numbered(&self, params: &PageParams) -> Result<Option<Numbered>, Problem> {
        let first = params.cursor.is_none().then_some(Numbered { page: 1, limit: params.limit });
        Ok(self.named(params)?.or(first))
    }
}

impl Numbered {
    /// Rows before it.
    #[must_use]
    pub fn skip(self) -> usize {
        usize::try_from(self.page.saturating_sub(1).saturating_mul(self.limit)).unwrap_or(usize::MAX)
    }

    /// What the answer says of it.
    #[must_use]
    pub fn pagination(self, total: Option<u64>) -> Pagination {
        let Self { page, limit } = self;
        Pagination { page, limit, total, pages: total.map(|total| total.div_ceil(u64::from(limit))) }
    }

    /// 422: more rows stand before it than one request counts out.
    #[must_use]
    pub fn too_far() -> Problem {
        let detail = "That page is too far back to be counted out; go on with `next_cursor`, or narrow the list.";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "page_too_far", detail)
    }
}
