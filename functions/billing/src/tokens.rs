//! `POST /billing/tokens/add`: tokens for USD credits, 100 to the dollar. One transaction of two pages moves the money:
//! there is no moment at which it is in neither wallet or in both. Handing tokens on to VirtFusion is not this
//! endpoint's work.

use crate::transaction::Transaction;
use api::{AmountText, Caller, IdempotencyKey, Json as Body, Kit, Money, Problem};
use axum::Json;
use axum::extract::State as With;
use axum::http::StatusCode;
use domain::alerts::{MAX_PURCHASE, MIN_PURCHASE};
use domain::money::MoneyError;
use domain::tenure::WalletId;
use domain::wallet::{Entry, Kind, Page, append};
use domain::{Amount, Id, Unit};
use garde::Validate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Store, StoreError, Transfer};
use utoipa::ToSchema;

/// Races one purchase may lose against other pages of the two wallets.
const MAX_RACES: usize = 16;

/// How much.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokensBody {
    /// What to spend, in USD: 1 to 1000.
    #[garde(skip)]
    amount: AmountText,
}

/// A purchase of tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokensView {
    /// Tokens bought.
    tokens: Money,
    /// What they cost.
    price: Money,
    /// The page of the USD wallet.
    paid: Transaction,
    /// The page of the token wallet.
    received: Transaction,
}

/// Buys tokens from the USD balance, which must cover them.
#[utoipa::path(
    post, path = "/billing/tokens/add", tag = "billing", operation_id = "add_tokens", request_body = TokensBody,
    responses((status = 201, body = TokensView)), security(("bearer" = []))
)]
pub async fn add(
    With(kit): With<Kit>,
    caller: Caller,
    IdempotencyKey(client_key): IdempotencyKey,
    Body(body): Body<TokensBody>,
) -> Result<(StatusCode, Json<TokensView>), Problem> {
    let amount = body.amount.usd().map_err(|error| Problem::field("/amount", error.to_string()))?;
    if !(MIN_PURCHASE..=MAX_PURCHASE).contains(&amount) {
        return Err(Problem::field("/amount", "the amount is between 1 and 1000 USD"));
    }
    // Without a key of the client's each request is a purchase of its own.
    let key = client_key.unwrap_or_else(|| kit.id("req").to_string());
    let (paid, received) = buy(&kit, &caller.user, amount, &key).await?;
    let view = TokensView {
        tokens: Money::new(amount, Unit::Token),
        price: Money::new(amount, Unit::Usd),
        paid: Transaction::of(&paid),
        received: Transaction::of(&received),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Moves the money, once for each key.
async fn buy(kit: &Kit, customer: &Id, amount: Amount, key: &str) -> Result<(Page, Page), Problem> {
    let store = &kit.store;
    let ledger_key = format!("{customer}:tokens:{key}");
    let reference = format!("transfer:{}", hex::encode(Sha256::digest(&ledger_key).get(..16).unwrap_or_default()));
    let wallet = |unit| WalletId { customer: customer.clone(), unit, lane: 0 };
    let entry = |amount: Amount, reason: &str| Entry {
        kind: Kind::Transfer,
        amount,
        actor: Some(customer.to_string()),
        reason: Some(reason.to_owned()),
        reference: Some(reference.clone()),
    };
    for _ in 0..MAX_RACES {
        let [usd, token] = store.wallet_balances(customer).await?;
        let heads = [&usd, &token].map(|balance| balance.heads.first().and_then(|(_, head)| head.as_ref()));
        let out = of_range(append(&wallet(Unit::Usd), heads[0], entry(-amount, "tokens bought"), kit.clock.now()))?;
        let into =
            of_range(append(&wallet(Unit::Token), heads[1], entry(amount, "bought with credits"), kit.clock.now()))?;
        // A replay is not held against the balance: it is paid.
        if usd.amount < amount && !store.wallet_transfer_known(&ledger_key).await? {
            let detail = "The balance of USD credits does not cover this.";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "insufficient_balance", detail));
        }
        match store.wallet_transfer_once(&out, &into, &ledger_key).await? {
            Transfer::Written => return Ok((out, into)),
            Transfer::Replayed(paid, received) => {
                let (paid, received) =
                    tokio::try_join!(page(store, &out.wallet, paid), page(store, &into.wallet, received))?;
                return Ok((paid, received));
            }
            Transfer::Lost => {}
        }
    }
    Err(StoreError::Conflict("the wallets are being changed all the time").into())
}

fn of_range(page: Result<Page, MoneyError>) -> Result<Page, StoreError> {
    page.map_err(|error| StoreError::Invalid(error.to_string()))
}

async fn page(store: &Store, wallet: &WalletId, seq: u64) -> Result<Page, StoreError> {
    let page = store.wallet_page(wallet, seq).await?;
    page.ok_or_else(|| StoreError::Corrupt(format!("{wallet} {seq}"), "it is missing".to_owned()))
}
