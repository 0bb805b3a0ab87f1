//! `GET /billing/transactions/{id}`: one page of a chain as the ledger holds it; and how a page is shown in lists.

use api::{Caller, Kit, Problem, parse_transaction_id, show as text, transaction_id};
use axum::Json;
use axum::extract::{Path, State as With};
use domain::wallet::{ExportPage, Kind, Page};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A transaction in a list: a page of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Transaction {
    /// `txn_<unit>_<lane>_<number>`.
    #[schema(pattern = "^txn_(usd|token)_[0-9]+_[0-9]+$", example = "txn_usd_0_12")]
    pub id: String,
    /// What it is about.
    #[serde(rename = "type")]
    #[schema(value_type = KindName)]
    pub kind: &'static str,
    /// The wallet: `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    pub unit: &'static str,
    /// The change of the balance; negative for usage.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pub amount: String,
    /// Balance of its lane before.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pub before: String,
    /// Balance of its lane after.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    pub after: String,
    /// In a sentence.
    pub description: String,
    /// Server-hours on its lines.
    pub hours: u64,
    /// Servers on its lines.
    pub servers: u64,
    /// Who posted it.
    pub actor: Option<String>,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// What it belongs to.
    pub reference: Option<String>,
    /// When it was posted.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// The kinds of transaction, for OpenAPI and for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// Server-hours.
    Usage,
    /// Money in, as a processor reported it.
    Payment,
    /// Money back.
    Refund,
    /// A later fact about billed hours.
    Adjustment,
    /// Undoes a transaction.
    Reversal,
    /// An operator's credit or debit.
    Admin,
    /// Something bought.
    Purchase,
    /// Between wallets.
    Transfer,
}

impl KindName {
    /// As the ledger calls it.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Usage => Kind::Usage,
            Self::Payment => Kind::Payment,
            Self::Refund => Kind::Refund,
            Self::Adjustment => Kind::Adjustment,
            Self::Reversal => Kind::Reversal,
            Self::Admin => Kind::Admin,
            Self::Purchase => Kind::Purchase,
            Self::Transfer => Kind::Transfer,
        }
    }
}

impl Transaction {
    /// A page as a list shows it.
    #[must_use]
    pub fn of(page: &Page) -> Self {
        let unit = page.wallet.unit;
        let hours = page.lines.iter().map(|line| u64::from(line.hours())).sum();
        // Lines are sorted by server.
        let servers = page.lines.chunk_by(|a, b| a.server == b.server).count();
        let servers = u64::try_from(servers).unwrap_or(u64::MAX);
        Self {
            id: transaction_id(&page.wallet, page.seq),
            kind: page.kind.as_str(),
            unit: unit.as_str(),
            amount: text(page.amount, unit),
            before: text(page.before, unit),
            after: text(page.after, unit),
            description: describe(page, hours, servers),
            hours,
            servers,
            actor: page.actor.clone(),
            reason: page.reason.clone(),
            reference: page.reference.clone(),
            created_at: page.at.to_string(),
        }
    }
}

fn describe(page: &Page, hours: u64, servers: u64) -> String {
    let plain = match page.kind {
        Kind::Usage if servers == 1 => return format!("{hours} server-hours of one server"),
        Kind::Usage => return format!("{hours} server-hours of {servers} servers"),
        Kind::Payment => "Payment received",
        Kind::Refund => "Refund",
        Kind::Adjustment => "Correction of billed hours",
        Kind::Reversal => "Reversal",
        Kind::Admin => "Changed by an operator",
        Kind::Purchase => "Purchase",
        Kind::Transfer => "Transfer between wallets",
    };
    page.reason.as_ref().map_or_else(|| plain.to_owned(), |reason| format!("{plain}: {reason}"))
}

/// A transaction with all it says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FullTransaction {
    /// As the list shows it.
    #[serde(flatten)]
    pub transaction: Transaction,
    /// The page in its exported form, lines and hashes included: its `hash` is the SHA-256, in hex, of the RFC 8785
    /// form of this object without `hash`.
    #[schema(value_type = Object)]
    pub page: Value,
}

/// One transaction with its lines, balances and hashes.
#[utoipa::path(
    get, path = "/billing/transactions/{id}", tag = "billing", operation_id = "transaction",
    params(("id" = String, Path, description = "As the lists give it", max_length = 64)),
    responses((status = 200, body = FullTransaction)), security(("bearer" = []))
)]
pub async fn show(
    With(kit): With<Kit>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<FullTransaction>, Problem> {
    let (wallet, seq) = parse_transaction_id(&id, &caller.user).ok_or_else(Problem::not_found)?;
    let page = kit.store.wallet_page(&wallet, seq).await?.ok_or_else(Problem::not_found)?;
    let exported = serde_json::to_value(ExportPage::new(&page)).map_err(|error| {
        tracing::error!(error = %error, "a page cannot be exported");
        Problem::of(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    Ok(Json(FullTransaction { transaction: Transaction::of(&page), page: exported }))
}
