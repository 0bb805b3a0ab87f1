//! Credits on the ledger: one page of kind `admin`, once under its key, and its record in the audit log.
//!
//! The page comes first: it is the money, and names who and why by itself. The record is derived from the page and the key, so
//! a request that died between the two is completed by its replay, and a replay writes no second one.

use crate::transactions::CreditTransaction;
use api::{AmountText, Problem, show, transaction_id};
use domain::tenure::WalletId;
use domain::wallet::{Entry, Kind, Page};
use domain::{Amount, Id, Unit};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::audit::{CREDITS_ADD, CREDITS_REMOVE};
use store::{AuditRecord, By, Posted, Store, StoreError};
use utoipa::ToSchema;

/// Most that one admin action gives or takes: 10,000 USD. A slip of the finger is found before it is a fortune.
pub const MAX_CREDIT: Amount = Amount::from_steps(10_000_000_000);

/// Credits to give (or, negative, to take).
#[derive(Clone, Copy, Debug)]
pub struct Credit<'a> {
    /// To whom.
    pub customer: &'a Id,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: &'a str,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credited {
    /// The page on the ledger.
    pub transaction: CreditTransaction,
    /// The balance of all USD credits now, decimal.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$", example = "20.00")]
    pub balance: String,
    /// Always `usd`.
    #[schema(pattern = "^usd$")]
    pub unit: &'static str,
    /// That the balance is negative, where it is.
    pub warning: Option<String>,
}

/// An amount within the bounds of one action.
///
/// # Errors
/// What is wrong with it, in words.
pub fn amount(text: &AmountText) -> Result<Amount, String> {
    let amount = text.usd().map_err(|error| error.to_string())?;
    if (Amount::from_steps(1)..=MAX_CREDIT).contains(&amount) {
        Ok(amount)
    } else {
        Err(format!("it must be more than 0 and at most {}", show(MAX_CREDIT, Unit::Usd)))
    }
}

/// Posts credits once for ever under `key`, and completes their record.
///
/// # Errors
/// [`StoreError::KeyReused`] where the key stands for something else; [`StoreError::Invalid`] where the balance would leave the
/// ledger's range; DynamoDB's: the same key may then be used again.
pub async fn post(store: &Store, credit: Credit<'_>, key: &str, by: &By) -> Result<Page, StoreError> {
    let wallet = WalletId { customer: credit.customer.clone(), unit: Unit::Usd, lane: 0 };
    let entry = Entry {
        kind: Kind::Admin,
        amount: credit.amount,
        actor: Some(by.actor.to_string()),
        reason: Some(credit.reason.to_owned()),
        reference: None,
    };
    let page = match store.wallet_post(&wallet, entry, key, by.at).await? {
        Posted::Written(page) => *page,
        Posted::Replayed(seq) => {
            let page = store.wallet_page(&wallet, seq).await?;
            page.ok_or_else(|| {
                StoreError::Corrupt(format!("{wallet} {seq}"), "its key is there, it is not".to_owned())
            })?
        }
    };
    store.audit_write(&record(&page, key, by)).await?;
    Ok(page)
}

/// The record of a page: the same whoever writes it, and whenever.
fn record(page: &Page, key: &str, by: &By) -> AuditRecord {
    let action = if page.amount < Amount::ZERO { CREDITS_REMOVE } else { CREDITS_ADD };
    let (before, after) = (show(page.before, Unit::Usd), show(page.after, Unit::Usd));
    let after = json!({
        "balance": after, "amount": show(page.amount, Unit::Usd), "unit": "usd",
        "transaction": transaction_id(&page.wallet, page.seq),
    });
    let before = json!({ "balance": before, "unit": "usd" });
    let mut record = by.record(action, format!("user/{}", page.wallet.customer), before, after);
    record.at = page.at;
    record.reason.clone_from(&page.reason);
    let hash = Sha256::digest(key);
    let name = format!("aud_{}", hex::encode(hash.get(..16).unwrap_or_default()));
    record.id = Id::new(&name).unwrap_or(record.id);
    record
}

/// What the caller is told of a page: with the balance of all lanes, and a warning where it is negative.
///
/// # Errors
/// DynamoDB's.
pub async fn credited(store: &Store, page: &Page) -> Result<Credited, Problem> {
    let balance = store.wallet_balance(&page.wallet.customer, Unit::Usd).await?.amount;
    let text = show(balance, Unit::Usd);
    let warning = (balance < Amount::ZERO).then(|| format!("The balance is negative: {text} USD."));
    Ok(Credited { transaction: CreditTransaction::new(page), balance: text, unit: Unit::Usd.as_str(), warning })
}
