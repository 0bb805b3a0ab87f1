//! `GET /billing/proof`: the newest pages of each chain, proved here and now, and how to prove all of them elsewhere.

use crate::statements::MarkView;
use api::ledger::MAX_LANES;
use api::{Caller, Kit, Problem, Query, show as text};
use axum::Json;
use axum::extract::State as With;
use domain::statement::{Links, Mark};
use domain::tenure::WalletId;
use domain::wallet::Page;
use futures::{StreamExt, TryStreamExt, stream};
use garde::Validate;
use serde::{Deserialize, Serialize};
use store::{Range, Store, StoreError};
use utoipa::ToSchema;

/// Most pages of a chain that are proved in one request.
const MAX_PAGES: u16 = 200;
/// Reads of one chain, up to a megabyte each: as many pages as they hold are proved.
const MAX_READS: usize = 8;
/// Chains that are proved at the same time.
const CHAINS_AT_ONCE: usize = 4;
/// How to do it oneself.
const HOW: &str = "Fetch each transaction with GET /billing/transactions/txn_<unit>_<lane>_<seq>, from 1 to the head. Its \
`page` is the exported form. (1) `hash` is the lower-case hex SHA-256 of the RFC 8785 form of `page` without `hash`. (2) \
`prev_hash` is the `hash` of the page before, 64 zeros on the first. (3) `before` is `after` of the page before, 0 on the \
first; `before` + `amount` = `after`. (4) A usage page's lines sum to -`amount`. Keep the head's hash: no page before it can \
change without changing it.";

/// How much to prove.
#[derive(Clone, Copy, Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofParams {
    /// Newest pages of each chain to prove, 1 to 200; 50 where it is missing.
    #[serde(default = "default_pages")]
    #[garde(range(min = 1, max = MAX_PAGES))]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pages: u16,
}

const fn default_pages() -> u16 {
    50
}

/// A chain, and what was proved of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChainProof {
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// The lane.
    lane: u16,
    /// The newest page.
    head: MarkView,
    /// Balance after it.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    balance: String,
    /// First page that was proved.
    verified_from: u64,
    /// How many pages were.
    verified_pages: u64,
    /// Whether content, hashes, links and balances agree.
    holds: bool,
}

/// A customer's chains.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProofView {
    /// When this was proved.
    #[schema(format = DateTime)]
    at: String,
    /// The chains.
    chains: Vec<ChainProof>,
    /// Chains beyond those: a proof of everything is `skymeter verify`.
    chains_left_out: u64,
    /// How to prove all pages with other means.
    how: &'static str,
}

/// The heads of the customer's chains, with the links of their newest pages verified.
#[utoipa::path(
    get, path = "/billing/proof", tag = "billing", operation_id = "proof", params(ProofParams),
    responses((status = 200, body = ProofView)), security(("bearer" = []))
)]
pub async fn show(
    With(kit): With<Kit>,
    caller: Caller,
    Query(params): Query<ProofParams>,
) -> Result<Json<ProofView>, Problem> {
    let balances = kit.store.wallet_balances(&caller.user).await?;
    let heads: Vec<(WalletId, Page)> = balances
        .into_iter()
        .flat_map(|balance| balance.heads)
        .filter_map(|(wallet, head)| head.map(|head| (wallet, head)))
        .collect();
    let left_out = heads.len().saturating_sub(MAX_LANES);
    let prove = |(wallet, head): (WalletId, Page)| {
        let store = kit.store.clone();
        async move { prove(&store, &wallet, &head, params.pages).await }
    };
    let chains = stream::iter(heads.into_iter().take(MAX_LANES).map(prove)).buffered(CHAINS_AT_ONCE);
    Ok(Json(ProofView {
        at: kit.clock.now().to_string(),
        chains: chains.try_collect().await?,
        chains_left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
        how: HOW,
    }))
}

async fn prove(store: &Store, wallet: &WalletId, head: &Page, pages: u16) -> Result<ChainProof, StoreError> {
    let wanted = head.seq.saturating_sub(u64::from(pages)) + 1;
    let (mut newest_first, mut next) = (Vec::new(), Some(head.seq));
    for _ in 0..MAX_READS {
        let Some(to) = next.filter(|to| *to >= wanted) else { break };
        let range = Range { from: wanted, to, newest_first: true, limit: pages };
        let stretch = store.wallet_range(wallet, range).await?;
        newest_first.extend(stretch.pages);
        next = stretch.next;
    }
    let mut links = Links::default();
    let checked: Result<(), _> = newest_first.iter().rev().try_for_each(|page| links.prove(page));
    // What was read must also end at the head that is shown.
    let ends = newest_first.first().is_some_and(|page| page.hash == head.hash);
    if let Err(fault) = &checked {
        tracing::error!(fault = %fault, "a chain does not hold");
    }
    Ok(ChainProof {
        unit: wallet.unit.as_str(),
        lane: wallet.lane,
        head: MarkView::of(Mark::of(head)),
        balance: text(head.after, wallet.unit),
        verified_from: newest_first.last().map_or(head.seq, |page| page.seq),
        verified_pages: u64::try_from(newest_first.len()).unwrap_or(u64::MAX),
        holds: checked.is_ok() && ends,
    })
}
