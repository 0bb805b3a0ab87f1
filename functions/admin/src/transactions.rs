//! `GET /admin/users/{id}/custom-credits`: a user's USD credits and every page that made them what they are.

use api::{Admin, Kit, Money, Paged, PathId, Problem, Query, default_limit, read_cursor, show, write_cursor};
use axum::Json;
use axum::extract::State;
use domain::Unit;
use domain::tenure::WalletId;
use domain::wallet::{Kind, Page};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::Range;
use utoipa::ToSchema;

/// Reads of the ledger for one page of the list: with a filter it may be short, or empty, before the end is reached.
const MAX_READS: usize = 10;
/// Pages of one read where most may not match.
const STRETCH: u16 = 100;

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
    /// Rows, 1 to 100; 20 where it is missing.
    #[serde(default = "default_limit")]
    #[garde(range(min = 1, max = api::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before.
    #[garde(length(max = 2048))]
    cursor: Option<String>,
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

/// Where the next page of the list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    lane: u16,
    seq: u64,
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

/// Names a page among its customer's, as `/billing/transactions` does.
pub fn transaction_id(wallet: &WalletId, seq: u64) -> String {
    format!("txn_{}_{}_{seq}", wallet.unit.as_str(), wallet.lane)
}

/// A user's USD credits, with their transactions: newest first, the first lane's before the others'.
#[utoipa::path(
    get, path = "/admin/users/{id}/custom-credits", tag = "admin", operation_id = "admin_credits",
    params(("id" = String, Path), TransactionFilter), responses((status = 200, body = CustomCredits)),
    security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    PathId(id): PathId,
    Query(filter): Query<TransactionFilter>,
) -> Result<Json<CustomCredits>, Problem> {
    kit.store.access_get(&id).await?.ok_or_else(Problem::not_found)?;
    let balance = kit.store.wallet_balance(&id, Unit::Usd).await?;
    let heads: Vec<(WalletId, u64)> =
        balance.heads.into_iter().map(|(wallet, head)| (wallet, head.map_or(0, |page| page.seq))).collect();
    let start: Option<Position> = read_cursor(filter.cursor.as_deref())?;
    let (pages, next) = read(&kit, &heads, start, &filter).await?;
    let next_cursor = next.as_ref().map(write_cursor).transpose()?;
    let transactions = Paged { data: pages.iter().map(CreditTransaction::new).collect(), next_cursor };
    Ok(Json(CustomCredits { balance: Money::new(balance.amount, balance.unit), transactions }))
}

/// Walks the lanes, each from its newest page down, until there are enough.
async fn read(
    kit: &Kit,
    heads: &[(WalletId, u64)],
    start: Option<Position>,
    filter: &TransactionFilter,
) -> Result<(Vec<Page>, Option<Position>), Problem> {
    let limit = usize::try_from(filter.limit).unwrap_or(1);
    let stretch = if filter.kind.is_some() { STRETCH } else { u16::try_from(limit).unwrap_or(STRETCH) };
    let first = heads.first().map(|(_, seq)| Position { lane: 0, seq: *seq });
    let (mut rows, mut position, mut reads) = (Vec::new(), start.or(first), 0);
    while let Some(at) = position {
        let Some((wallet, head)) = heads.get(usize::from(at.lane)) else { return Ok((rows, None)) };
        if rows.len() >= limit || reads == MAX_READS {
            return Ok((rows, Some(at)));
        }
        reads += 1;
        let range = Range { from: 1, to: at.seq.min(*head), newest_first: true, limit: stretch };
        let read = kit.store.wallet_range(wallet, range).await?;
        position = after(at, read.next, heads);
        for page in read.pages {
            if rows.len() == limit {
                return Ok((rows, Some(Position { lane: at.lane, seq: page.seq })));
            }
            if filter.kind.is_none_or(|kind| kind == page.kind) {
                rows.push(page);
            }
        }
    }
    Ok((rows, None))
}

/// Further down the lane, or the newest page of the next lane that has one.
fn after(at: Position, next: Option<u64>, heads: &[(WalletId, u64)]) -> Option<Position> {
    if let Some(seq) = next {
        return Some(Position { lane: at.lane, seq });
    }
    let others = heads.iter().skip(usize::from(at.lane) + 1);
    others.filter(|(_, seq)| *seq > 0).map(|(wallet, seq)| Position { lane: wallet.lane, seq: *seq }).next()
}
