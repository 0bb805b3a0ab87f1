//! Reading a customer's wallet as a whole: the sum of its lanes, stretches of a chain by number and by time, and the
//! one write that moves money between two wallets.
//!
//! Numbers are dense, and pages never change: so a page is found by its number, and a time by halving. Clocks of
//! writers differ, so `at` may step back a little along a chain; where a time begins is still one page, the same for
//! every reader: the first that was written at it or later.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::expr;
use crate::item::{Item, n, read_document, s, text};
use crate::keys::{self, PK, SK};
use crate::lanes::Lanes;
use crate::page_codec::{decode_page, encode_page};
use crate::wallet::{AppendOnce, marker, why_canceled};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::tenure::WalletId;
use domain::wallet::Page;
use domain::{Amount, Id, Timestamp, Unit};
use futures::{StreamExt, TryStreamExt, stream};

/// Lanes that are read at the same time.
pub const LANES_AT_ONCE: usize = 16;
/// How far a writer's clock may be off, in seconds.
pub const MAX_SKEW_SECS: i64 = 3_600;
/// Pages of one read where a time begins.
const EDGE_PAGES: u16 = 32;
/// Such reads: a chain grows by a page or two an hour, and the reads cover four hours.
const MAX_EDGE_READS: usize = 256;

/// A customer's money in one unit.
#[derive(Clone, Debug)]
pub struct Balance {
    /// What it counts in.
    pub unit: Unit,
    /// The sum of the lanes.
    pub amount: Amount,
    /// The newest page of each lane; `None` where there is none yet.
    pub heads: Vec<(WalletId, Option<Page>)>,
}

/// Part of a chain, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First number.
    pub from: u64,
    /// Last number.
    pub to: u64,
    /// Which end to begin at.
    pub newest_first: bool,
    /// Most pages at once.
    pub limit: u16,
}

/// What was read of a [`Range`].
#[derive(Debug)]
pub struct Stretch {
    /// Pages, in the order asked for.
    pub pages: Vec<Page>,
    /// The number to go on with; `None` at the end.
    pub next: Option<u64>,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Both pages are on their chains.
    Written,
    /// The key's pages were there already, with these numbers.
    Replayed(u64, u64),
    /// Another page has one of the numbers: read the newest pages and try again.
    Lost,
}

impl Balance {
    fn new(unit: Unit, heads: Vec<(WalletId, Option<Page>)>) -> Self {
        let amount = heads.iter().filter_map(|(_, page)| page.as_ref()).map(|page| page.after).sum();
        Self { unit, amount, heads }
    }
}

impl Store {
    /// A customer's money in one unit, read consistently. With one lane it takes as long as one read.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn wallet_balance(&self, customer: &Id, unit: Unit) -> Result<Balance, StoreError> {
        let first = WalletId { customer: customer.clone(), unit, lane: 0 };
        let lanes = async {
            let item = self.get(Area::Registry, keys::lanes(customer), unit.as_str().to_owned()).await?;
            lane_count(item.as_ref())
        };
        let (head, lanes) = tokio::try_join!(self.wallet_head(&first, true), lanes)?;
        self.with_lanes(first, head, lanes).await
    }

    /// A customer's money in both units, USD first: three reads at once where each has one lane.
    ///
    /// # Errors
    /// As [`Store::wallet_balance`].
    pub async fn wallet_balances(&self, customer: &Id) -> Result<[Balance; 2], StoreError> {
        let first = |unit| WalletId { customer: customer.clone(), unit, lane: 0 };
        let (usd, token) = (first(Unit::Usd), first(Unit::Token));
        let (usd_head, token_head, [usd_lanes, token_lanes]) = tokio::try_join!(
            self.wallet_head(&usd, true),
            self.wallet_head(&token, true),
            self.wallet_lanes(customer)
        )?;
        let (usd, token) = tokio::try_join!(
            self.with_lanes(usd, usd_head, usd_lanes),
            self.with_lanes(token, token_head, token_lanes)
        )?;
        Ok([usd, token])
    }

    /// How many lanes a customer has, USD first; at least one, which may be empty.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn wallet_lanes(&self, customer: &Id) -> Result<[u16; 2], StoreError> {
        let items = self.query_all(Area::Registry, &keys::lanes(customer)).await?;
        let of = |unit: Unit| lane_count(items.iter().find(|item| text(item, SK) == Some(unit.as_str())));
        Ok([of(Unit::Usd)?, of(Unit::Token)?])
    }

    /// Reads the heads of the lanes after the first.
    async fn with_lanes(&self, first: WalletId, head: Option<Page>, lanes: u16) -> Result<Balance, StoreError> {
        let others = (1..lanes).map(|lane| WalletId { lane, ..first.clone() });
        let read = |wallet: WalletId| async move {
            let head = self.wallet_head(&wallet, true).await?;
            Ok::<_, StoreError>((wallet, head))
        };
        let others: Vec<_> = stream::iter(others.map(read)).buffered(LANES_AT_ONCE).try_collect().await?;
        let unit = first.unit;
        Ok(Balance::new(unit, std::iter::once((first, head)).chain(others).collect()))
    }

    /// One page by its number.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn wallet_page(&self, wallet: &WalletId, seq: u64) -> Result<Option<Page>, StoreError> {
        let request = self
            .client()
            .get_item()
            .table_name(&self.tables().ledger)
            .key(PK, s(keys::wallet(wallet)))
            .key(SK, n(seq))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("GetItem", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        answer.item.as_ref().map(decode_page).transpose()
    }

    /// Pages by number. One read: at most a megabyte comes back, and `next` says where to go on.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn wallet_range(&self, wallet: &WalletId, range: Range) -> Result<Stretch, StoreError> {
        let Range { from, to, newest_first, limit } = range;
        if from > to || limit == 0 {
            return Ok(Stretch { pages: Vec::new(), next: None });
        }
        let request = self
            .chain(wallet)
            .key_condition_expression(expr::IN_PARTITION_BETWEEN)
            .expression_attribute_values(":from", n(from))
            .expression_attribute_values(":to", n(to))
            .scan_index_forward(!newest_first)
            .limit(i32::from(limit))
            .consistent_read(true);
        let answer = request.send().await.map_err(|e| classify("Query", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        let pages: Vec<Page> = answer.items().iter().map(decode_page).collect::<Result<_, _>>()?;
        let more = answer.last_evaluated_key.is_some();
        let next = pages.last().filter(|_| more).and_then(|page| {
            if newest_first {
                page.seq.checked_sub(1).filter(|seq| *seq >= from)
            } else {
                Some(page.seq + 1).filter(|seq| *seq <= to)
            }
        });
        Ok(Stretch { pages, next })
    }

    /// The number of the first page of a chain that was written at `at` or later; `head + 1` where there is none. The
    /// same for every reader, also where clocks differed: what is filed by it is filed once.
    ///
    /// # Errors
    /// DynamoDB's; [`StoreError::Unavailable`] where more pages than [`MAX_EDGE_READS`] reads hold were written around
    /// `at`.
    pub async fn wallet_edge(&self, wallet: &WalletId, head: &Page, at: Timestamp) -> Result<u64, StoreError> {
        // Whatever the clocks, every page before one that seems to be older than this is older than `at`.
        let surely = at.plus_secs(-2 * MAX_SKEW_SECS);
        if head.at < surely {
            return Ok(head.seq + 1);
        }
        let (mut older, mut newer) = (0, head.seq + 1);
        while newer - older > 1 {
            let middle = older + (newer - older) / 2;
            let page = self.wallet_page(wallet, middle).await?;
            let page =
                page.ok_or_else(|| StoreError::Corrupt(format!("{wallet} {middle}"), "it is missing".to_owned()))?;
            if page.at < surely { older = middle } else { newer = middle }
        }
        let mut next = Some(newer);
        for _ in 0..MAX_EDGE_READS {
            let Some(from) = next.filter(|from| *from <= head.seq) else { return Ok(head.seq + 1) };
            let range = Range { from, to: head.seq, newest_first: false, limit: EDGE_PAGES };
            let stretch = self.wallet_range(wallet, range).await?;
            if let Some(page) = stretch.pages.iter().find(|page| page.at >= at) {
                return Ok(page.seq);
            }
            next = stretch.next;
        }
        let detail = format!("too many pages of {wallet} were written around {at}");
        Err(StoreError::Unavailable { operation: "Query", detail })
    }

    /// Moves money: two pages of two chains and their markers, all or nothing. The keys are derived from one, so that
    /// the same transfer twice is one.
    ///
    /// # Errors
    /// [`StoreError::KeyReused`] where the key stands for another wallet, amount or reference; DynamoDB's.
    pub async fn wallet_transfer_once(&self, from: &Page, to: &Page, key: &str) -> Result<Transfer, StoreError> {
        let keys = transfer_keys(key);
        let items = [marker(from, &keys[0]), encode_page(from)?, marker(to, &keys[1]), encode_page(to)?];
        let actions = items.map(|item| self.new_in_ledger(item)).into_iter().collect::<Result<Vec<_>, _>>()?;
        let request = self.client().transact_write_items().set_transact_items(Some(actions));
        match request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(answer) => {
                self.capacity().wrote(Area::Ledger, answer.consumed_capacity());
                Ok(Transfer::Written)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    // Each half has its marker's reason first and its page's second.
                    let (first, second) = canceled.cancellation_reasons().split_at_checked(2).unwrap_or_default();
                    match (why_canceled(first, from, &keys[0]), why_canceled(second, to, &keys[1])) {
                        (Ok(AppendOnce::Replayed(from)), Ok(AppendOnce::Replayed(to))) => {
                            Ok(Transfer::Replayed(from, to))
                        }
                        (Err(StoreError::KeyReused(_)), _) | (_, Err(StoreError::KeyReused(_))) => {
                            Err(StoreError::KeyReused(key.to_owned()))
                        }
                        (Ok(AppendOnce::Lost), _) | (_, Ok(AppendOnce::Lost)) => Ok(Transfer::Lost),
                        (Err(error), _) | (_, Err(error)) => Err(error),
                        (Ok(_), Ok(_)) => Err(classify("TransactWriteItems", &error)),
                    }
                }
                _ => Err(classify("TransactWriteItems", &error)),
            },
        }
    }
}

impl Store {
    /// Whether a transfer's key stands for something already.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn wallet_transfer_known(&self, key: &str) -> Result<bool, StoreError> {
        let [from, _] = transfer_keys(key);
        let request = self
            .client()
            .get_item()
            .table_name(&self.tables().ledger)
            .key(PK, s(keys::key_marker(&from)))
            .key(SK, n(0))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = request.send().await.map_err(|e| classify("GetItem", &e))?;
        self.capacity().read(Area::Ledger, answer.consumed_capacity.as_slice());
        Ok(answer.item.is_some())
    }
}

/// The keys of a transfer's two pages.
fn transfer_keys(key: &str) -> [String; 2] {
    [format!("{key}:from"), format!("{key}:to")]
}

fn lane_count(item: Option<&Item>) -> Result<u16, StoreError> {
    let lanes = item.map(read_document::<Lanes>).transpose()?;
    Ok(lanes.map_or(1, |(lanes, _)| lanes.count()).max(1))
}
