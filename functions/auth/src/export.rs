//! `GET /auth/me/export`: what is stored of somebody, for them to take along.

mod payments;
mod preferences;

use crate::api_keys::{self, ApiKeyView};
use crate::me::Me;
use crate::sessions::{self, SessionView};
use crate::{State, limits, proof};
use api::{Caller, Money, Problem};
use axum::extract::State as With;
use domain::wallet::Page;
use payments::Payments;
use preferences::{ExportedAlerts, ExportedTopUp};
use serde::Serialize;
use store::{Balance, Range};
use utoipa::ToSchema;

/// Pages of a wallet that an export holds, of each lane the newest: two months of hourly billing and more. The lists of
/// `billing` have all.
const MAX_PAGES: usize = 1_500;

/// What is stored of somebody.
#[derive(Serialize, ToSchema)]
pub struct Export {
    /// When it was made.
    #[schema(format = DateTime)]
    exported_at: String,
    /// Who they are.
    profile: Me,
    /// Where they are signed in.
    sessions: Vec<SessionView>,
    /// Their API keys, without the secrets, which nobody has.
    api_keys: Vec<ApiKeyView>,
    /// Their wallets.
    wallets: Vec<Wallet>,
    /// What they paid, with what was given back of it.
    payments: Payments,
    /// At which balances they want a mail.
    alerts: ExportedAlerts,
    /// What is bought when the balance is low.
    auto_top_up: ExportedTopUp,
}

/// A wallet with its newest transactions.
#[derive(Serialize, ToSchema)]
pub struct Wallet {
    /// What stands on it.
    balance: Money,
    /// Newest first.
    transactions: Vec<ExportedTransaction>,
    /// Whether there are older ones, which are in the lists of `billing`.
    truncated: bool,
}

/// One page of the ledger, without its lines.
#[derive(Serialize, ToSchema)]
pub struct ExportedTransaction {
    /// The chain it stands on.
    wallet: String,
    /// Its number there.
    seq: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What kind.
    kind: &'static str,
    /// How much.
    amount: Money,
    /// What stood on the wallet after it.
    balance_after: Money,
    /// What it refers to.
    reference: Option<String>,
    /// Why.
    reason: Option<String>,
    /// Proves it, see `GET /billing/proof`.
    hash: String,
}

/// All that is stored of the account that asks.
#[utoipa::path(
    get, path = "/auth/me/export", tag = "auth", operation_id = "export_me",
    responses((status = 200, body = Export)), security(("bearer" = []))
)]
pub async fn export(With(state): With<State>, caller: Caller) -> Result<axum::Json<Export>, Problem> {
    proof::session(&caller)?;
    limits::export(&state, &caller.user).await?;
    let account = proof::account(&state, &caller).await?;
    let mut wallets = Vec::new();
    for balance in state.kit.store.wallet_balances(&caller.user).await? {
        if balance.heads.iter().any(|(_, newest)| newest.is_some()) {
            wallets.push(wallet(&state, balance).await?);
        }
    }
    Ok(axum::Json(Export {
        exported_at: state.kit.clock.now().to_string(),
        sessions: sessions::live(&state, &caller).await?,
        api_keys: api_keys::of(&state, &caller.user).await?,
        profile: Me::of(account.profile, caller.role, account.secret.second.is_some_and(|second| second.confirmed)),
        payments: payments::of(&state.kit.store, &caller.user).await?,
        alerts: state.kit.store.alerts(&caller.user).await?.into(),
        auto_top_up: state.kit.store.top_up(&caller.user).await?.into(),
        wallets,
    }))
}

/// A wallet with all its lanes.
async fn wallet(state: &State, balance: Balance) -> Result<Wallet, Problem> {
    let (mut pages, mut truncated): (Vec<Page>, _) = (Vec::new(), false);
    for (lane, newest) in balance.heads {
        let Some(newest) = newest else { continue };
        let limit = u16::try_from(MAX_PAGES.saturating_sub(pages.len())).unwrap_or(u16::MAX);
        let range = Range { from: 1, to: newest.seq, newest_first: true, limit };
        let stretch = state.kit.store.wallet_range(&lane, range).await?;
        truncated |= u64::try_from(stretch.pages.len()).unwrap_or(0) < newest.seq;
        pages.extend(stretch.pages);
    }
    pages.sort_by_key(|page| std::cmp::Reverse(page.at));
    let transactions = pages.into_iter().map(ExportedTransaction::from).collect();
    Ok(Wallet { balance: Money::new(balance.amount, balance.unit), transactions, truncated })
}

impl From<Page> for ExportedTransaction {
    fn from(page: Page) -> Self {
        let unit = page.wallet.unit;
        Self {
            wallet: page.wallet.to_string(),
            seq: page.seq,
            at: page.at.to_string(),
            kind: page.kind.as_str(),
            amount: Money::new(page.amount, unit),
            balance_after: Money::new(page.after, unit),
            reference: page.reference,
            reason: page.reason,
            hash: hex::encode(page.hash),
        }
    }
}
