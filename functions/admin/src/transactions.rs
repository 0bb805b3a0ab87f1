//! `GET /admin/users/{id}/custom-credits`: a user's USD credits and every page that made them what they are.

use api::dates::SpanParams;
use api::ledger::{Merge, Next, Position, lanes_in};
use api::{Admin, Kit, Money, PageParams, Paged, PathId, Problem, Queries, show, transaction_id};
use axum::Json;
use axum::extract::State;
use domain::Unit;
use domain::wallet::{Kind, Page};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Pages that are read ahead where a filter leaves most of them out.
const FILTER_AHEAD: u32 = 128;

/// Which transactions.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TransactionFilter {
    /// Only of this type, such as `admin` or `payment`.
    #[serde(rename = "type")]
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^(usage|payment|refund|adjustment|reversal|admin|purchase|transfer)$")]
    kind: Option<Kind>,
}

/// A page of the ledger, as the user sees it, too.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CreditTransaction {
    /// Its id: unit, lane and number.
    #[schema(pattern = "^txn_(usd|token)_[0-9]+_[0-9]+$", example = "txn_usd_0_12")]
    pub id: String,
    /// What it is about: `admin`, `payment`, `usage`, ...
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Always `usd`.
    #[schema(pattern = "^usd$")]
    pub unit: &'static str,
    /// The change, decimal.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "20.00")]
    pub amount: String,
    /// Balance of its lane before, decimal.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pub before: String,
    /// Balance of its lane after, decimal.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pub after: String,
    /// Who.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What it belongs to.
    pub reference: Option<String>,
    /// When, RFC 3339.
    pub created_at: String,
}

/// A user's credits.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomCredits {
    /// All of them.
    balance: Money,
    /// The pages.
    #[serde(flatten)]
    transactions: Paged<CreditTransaction>,
}

impl CreditTransaction {
    /// Of a page.
    pub fn new(page: &Page) -> Self {
        let unit = page.wallet.unit;
        Self {
            id: transaction_id(&page.wallet, page.seq),
            kind: page.kind.as_str(),
            unit: unit.as_str(),
            amount: show(page.amount, unit),
            before: show(page.before, unit),
            after: show(page.after, unit),
            actor: page.actor.clone(),
            reason: page.reason.clone(),
            reference: page.reference.clone(),
            created_at: page.at.to_string(),
        }
    }
}

/// A user's USD credits, with their transactions, newest first; `from` and `to` say when they were posted. With a type a page may
/// have fewer rows than asked for and still a cursor; with a cursor the other parameters must be the same.
#[utoipa::path(
    get, path = "/admin/users/{id}/custom-credits", tag = "admin", operation_id = "admin_credits",
    params(("id" = String, Path), TransactionFilter, SpanParams, PageParams), responses((status = 200, body = CustomCredits)),
    security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    PathId(id): PathId,
    Queries((filter, span, page)): Queries<(TransactionFilter, SpanParams, PageParams)>,
) -> Result<Json<CustomCredits>, Problem> {
    let span = span.span()?;
    let position = Position::read(page.cursor.as_deref())?;
    kit.store.access_get(&id).await?.ok_or_else(Problem::not_found)?;
    let balance = kit.store.wallet_balance(&id, Unit::Usd).await?;
    let lanes = match position {
        Some(position) => position.lanes_of(&id).into_iter().filter(|lane| lane.wallet.unit == Unit::Usd).collect(),
        None => lanes_in(&kit.store, std::slice::from_ref(&balance), span).await?,
    };
    let ahead = if filter.kind.is_some() { FILTER_AHEAD } else { page.limit };
    let pages = Merge::new(&kit.store, lanes, ahead);
    let transactions = read(pages, filter.kind, page.rows()).await?;
    Ok(Json(CustomCredits { balance: Money::new(balance.amount, balance.unit), transactions }))
}

/// Pages of all lanes, until there are enough.
async fn read(mut pages: Merge<'_>, wanted: Option<Kind>, limit: usize) -> Result<Paged<CreditTransaction>, Problem> {
    let mut data = Vec::new();
    while data.len() < limit {
        match pages.next().await? {
            Next::Page(page) if wanted.is_none_or(|kind| kind == page.kind) => data.push(CreditTransaction::new(&page)),
            Next::Page(_) => {}
            Next::End | Next::Enough => break,
        }
    }
    Ok(Paged { data, next_cursor: pages.position(0).write()? })
}
