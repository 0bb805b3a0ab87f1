//! Pages of several chains as one list, newest first: reads each a stretch ahead, and gives out the newest page of all.

use super::cursor::{LaneRange, MAX_LANES, Position};
use crate::dates::Span;
use crate::problem::{FieldError, Problem};
use axum::http::StatusCode;
use domain::tenure::WalletId;
use domain::wallet::Page;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::VecDeque;
use store::{Balance, LANES_AT_ONCE, Range, Store, StoreError};

/// Reads of one request, beside the first of each lane: a list with a filter stops looking after them and gives its
/// cursor.
const MAX_READS: usize = 48;
/// Most pages of one read.
const MAX_CHUNK: u16 = 128;

/// Which chains, and from where on.
#[derive(Debug)]
pub struct Merge<'a> {
    store: &'a Store,
    lanes: Vec<Reader>,
    chunk: u16,
    reads_left: usize,
}

#[derive(Debug)]
struct Reader {
    range: LaneRange,
    /// What is not read yet begins at this number.
    unread: Option<u64>,
    ahead: VecDeque<Page>,
}

/// What comes next in a list.
#[derive(Debug)]
pub enum Next {
    /// The newest page of all that are left.
    Page(Box<Page>),
    /// Nothing is left.
    End,
    /// Enough was read for one request; the position says where to go on.
    Enough,
}

/// The chains of balances in a span of time, from their newest pages on.
///
/// # Errors
/// 422 where a customer has more lanes than are listed together; the store's.
pub async fn lanes_in(store: &Store, balances: &[Balance], span: Span) -> Result<Vec<LaneRange>, Problem> {
    let heads: Vec<_> = balances.iter().flat_map(|balance| &balance.heads).collect();
    if heads.len() > MAX_LANES {
        let detail = format!("There are more than {MAX_LANES} lanes; list them one by one.");
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_lanes", detail);
        return Err(problem.with_errors(vec![FieldError::parameter("lane", "name a lane, 0 first")]));
    }
    let lane = |(wallet, head): &(WalletId, Option<Page>)| {
        let (wallet, head) = (wallet.clone(), head.clone());
        async move {
            let Some(head) = head else { return Ok(None) };
            let floor = match span.from {
                Some(from) => store.wallet_edge(&wallet, &head, from).await?,
                None => 1,
            };
            let next = match span.to {
                Some(to) => store.wallet_edge(&wallet, &head, to).await? - 1,
                None => head.seq,
            };
            Ok::<_, StoreError>((next >= floor).then_some(LaneRange { wallet, next, floor }))
        }
    };
    let lanes: Vec<_> = stream::iter(heads.into_iter().map(lane)).buffered(LANES_AT_ONCE).try_collect().await?;
    let mut lanes: Vec<LaneRange> = lanes.into_iter().flatten().collect();
    lanes.sort_by(|a, b| a.wallet.cmp(&b.wallet));
    Ok(lanes)
}

impl<'a> Merge<'a> {
    /// Reads about `ahead` pages at once.
    #[must_use]
    pub fn new(store: &'a Store, lanes: Vec<LaneRange>, ahead: u32) -> Self {
        let each = u16::try_from(ahead).unwrap_or(MAX_CHUNK) / u16::try_from(lanes.len().max(1)).unwrap_or(1);
        let reads_left = MAX_READS + lanes.len();
        let reader = |range: LaneRange| Reader { unread: Some(range.next), range, ahead: VecDeque::new() };
        Self { store, lanes: lanes.into_iter().map(reader).collect(), chunk: (each + 1).min(MAX_CHUNK), reads_left }
    }

    /// How many pages there are, before any was given out.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.lanes.iter().map(|reader| reader.range.next + 1 - reader.range.floor).sum()
    }

    /// Reads on where nothing is left in memory. `false`: that would be too many reads.
    async fn fill(&mut self) -> Result<bool, StoreError> {
        let (store, chunk) = (self.store, self.chunk);
        let empty = |reader: &&mut Reader| reader.ahead.is_empty() && reader.unread.is_some();
        let empty: Vec<&mut Reader> = self.lanes.iter_mut().filter(empty).collect();
        if empty.len() > self.reads_left {
            return Ok(false);
        }
        self.reads_left -= empty.len();
        let read = |reader: &'_ mut Reader| {
            let (wallet, to, floor) = (reader.range.wallet.clone(), reader.unread, reader.range.floor);
            async move {
                let range = Range { from: floor, to: to.unwrap_or(0), newest_first: true, limit: chunk };
                store.wallet_range(&wallet, range).await
            }
        };
        let mut empty = empty;
        let reads: Vec<_> = empty.iter_mut().map(|reader| read(reader)).collect();
        let stretches: Vec<_> = stream::iter(reads).buffered(LANES_AT_ONCE).try_collect().await?;
        for (reader, stretch) in empty.into_iter().zip(stretches) {
            reader.unread = stretch.next;
            reader.ahead = stretch.pages.into();
        }
        Ok(true)
    }

    /// The next page.
    ///
    /// # Errors
    /// DynamoDB's, or a page that cannot be read.
    pub async fn next(&mut self) -> Result<Next, StoreError> {
        if !self.fill().await? {
            return Ok(Next::Enough);
        }
        let newest = |reader: &&mut Reader| reader.ahead.front().map(|page| (page.at, reader.range.wallet.clone()));
        let reader = self.lanes.iter_mut().filter(|reader| !reader.ahead.is_empty()).max_by_key(newest);
        let page = reader.and_then(|reader| reader.ahead.pop_front());
        Ok(page.map_or(Next::End, |page| Next::Page(Box::new(page))))
    }

    /// The page before one that was given out, where it was read ahead.
    #[must_use]
    pub fn ahead_of(&self, page: &Page) -> Option<&Page> {
        let reader = self.lanes.iter().find(|reader| reader.range.wallet == page.wallet)?;
        reader.ahead.front().filter(|ahead| ahead.seq + 1 == page.seq)
    }

    /// Puts a page back that was given out last: it comes again.
    pub fn give_back(&mut self, page: Page) {
        if let Some(reader) = self.lanes.iter_mut().find(|reader| reader.range.wallet == page.wallet) {
            reader.ahead.push_front(page);
        }
    }

    /// Where the next request goes on; `skip` rows of its first page were shown.
    #[must_use]
    pub fn position(&self, skip: u32) -> Position {
        let left = self.lanes.iter().filter_map(|reader| {
            let next = reader.ahead.front().map(|page| page.seq).or(reader.unread)?;
            Some(LaneRange { next, ..reader.range.clone() })
        });
        Position::new(left, skip)
    }
}
