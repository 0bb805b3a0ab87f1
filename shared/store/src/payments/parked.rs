//! What an operator must look at: words of a processor that fit no payment. And its events, as they came.
//!
//! Owns: that nothing new is hidden. What is dealt with is open again as soon as the processor reports something of it that was
//! not known before, and whoever deals with it can say which version they looked at. Entries are never deleted.
//!
//! Does *not*: move money.

use super::{Store, StoreError};
use crate::audit::{By, PARKED_DEAL_WITH};
use crate::capacity::Area;
use crate::item::{Item, document, n, read_document, s};
use crate::keys::{self, PK, SK, TTL};
use crate::query::{Query, Span};
use domain::Timestamp;
use domain::payment::Processor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How long an event is kept: 90 days.
pub const EVENT_KEPT_SECS: i64 = 90 * 86_400;
/// Reasons that are kept for one object, the newest.
const MAX_REASONS: usize = 20;
/// Events that are kept by name for one object, the newest, besides the first.
const MAX_LATER_EVENTS: usize = 19;
/// Tries of a write against others at the same record.
const MAX_ROUNDS: usize = 16;
/// Entries looked at for one page of a filtered list; then the caller gets a position to go on from.
const MAX_EXAMINED: usize = 1_000;
/// Entries read at once where some may not match.
const STRETCH: usize = 100;

/// An object of a processor that was not credited to anybody, or not wholly understood: as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Whose object.
    pub processor: Processor,
    /// Its id.
    pub object: String,
    /// The payment it says it belongs to, or that led to it.
    pub payment: Option<String>,
    /// The event that told of it.
    pub event: Option<String>,
    /// What does not fit, oldest first.
    pub reasons: Vec<String>,
    /// When it was first seen.
    pub at: Timestamp,
}

/// Whether somebody must still look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedStatus {
    /// It waits for an operator.
    #[default]
    Open,
    /// An operator has done what was to be done.
    DealtWith,
}

impl ParkedStatus {
    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::DealtWith => "dealt_with",
        }
    }
}

/// What an operator said when they dealt with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dealing {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they did, or why nothing was to be done.
    pub note: String,
}

/// What is parked, as it is kept. Fields that an entry written by an older version lacks have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// What was reported: first, and with all reasons since.
    #[serde(flatten)]
    pub told: Unmatched,
    /// The events after the first one that told of it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_events: Vec<String>,
    /// When something new was reported of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_again: Option<Timestamp>,
    /// Whether somebody must look.
    #[serde(default)]
    pub status: ParkedStatus,
    /// Who dealt with it last. It stays when something new is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dealing: Option<Dealing>,
}

/// An entry, and the revision it was read at.
pub type RevisedParked = (Parked, u32);

impl Parked {
    fn new(told: Unmatched) -> Self {
        Self { told, later_events: Vec::new(), told_again: None, status: ParkedStatus::Open, dealing: None }
    }

    /// The names of all events that told of it, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &String> {
        self.told.event.iter().chain(&self.later_events)
    }

    /// Takes in what is reported. Whether any of it is new; then it is open, whatever an operator said before.
    fn learn(&mut self, told: &Unmatched) -> bool {
        // An entry has one payment. Another one is a reason to look.
        let other = told.payment.as_ref().filter(|other| self.told.payment.as_ref().is_some_and(|held| held != *other));
        let other = other.map(|other| format!("it is also reported for the payment {other}"));
        let held = &self.told.reasons;
        let reasons = told.reasons.iter().cloned().chain(other).filter(|reason| !held.contains(reason));
        let reasons: Vec<String> = reasons.collect();
        let event = told.event.as_ref().filter(|event| !self.events().any(|known| known == *event));
        let payment = told.payment.as_ref().filter(|_| self.told.payment.is_none());
        if reasons.is_empty() && event.is_none() && payment.is_none() {
            return false;
        }
        self.told.reasons.extend(reasons);
        keep_newest(&mut self.told.reasons, MAX_REASONS);
        match (event, &self.told.event) {
            (Some(event), Some(_)) => self.later_events.push(event.clone()),
            (Some(event), None) => self.told.event = Some(event.clone()),
            (None, _) => {}
        }
        keep_newest(&mut self.later_events, MAX_LATER_EVENTS);
        if let Some(payment) = payment {
            self.told.payment = Some(payment.clone());
        }
        self.told_again = Some(told.at);
        self.status = ParkedStatus::Open;
        true
    }

    fn is_dealt_with(&self, note: &str) -> bool {
        self.status == ParkedStatus::DealtWith && self.dealing.as_ref().is_some_and(|dealing| dealing.note == note)
    }

    /// What the audit log says of it.
    fn standing(&self) -> Value {
        match (self.status, &self.dealing) {
            (ParkedStatus::DealtWith, Some(dealing)) => json!({ "status": self.status, "note": dealing.note }),
            _ => json!({ "status": self.status }),
        }
    }
}

/// The oldest give way: what is new must be seen.
fn keep_newest(list: &mut Vec<String>, most: usize) {
    list.drain(..list.len().saturating_sub(most));
}

/// The name of an entry, in paths, cursors and the audit log: `stripe_pi_1`.
#[must_use]
pub fn parked_id(processor: Processor, object: &str) -> String {
    format!("{processor}_{object}")
}

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedPage {
    /// The entries.
    pub data: Vec<RevisedParked>,
    /// After which entry the next part begins. There may be one although nothing is left that the filter lets through.
    pub next: Option<(Processor, String)>,
}

/// How an operator deals with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal<'a> {
    /// Whose object.
    pub processor: Processor,
    /// Its id.
    pub object: &'a str,
    /// What they did.
    pub note: &'a str,
    /// The revision they looked at; nothing where they did not say.
    pub seen: Option<u32>,
}

impl Store {
    /// Parks an object for an operator. Said again, it is one entry, and nothing is written; another reason, event or payment is
    /// added to it, and opens it again.
    ///
    /// # Errors
    /// DynamoDB's; [`StoreError::Conflict`] where others were at it every time.
    pub async fn unmatched_put(&self, unmatched: &Unmatched) -> Result<(), StoreError> {
        for _ in 0..MAX_ROUNDS {
            let (entry, rev) = match self.unmatched_get(unmatched.processor, &unmatched.object).await? {
                None => (Parked::new(unmatched.clone()), None),
                Some((mut held, rev)) => {
                    if !held.learn(unmatched) {
                        return Ok(());
                    }
                    (held, Some(rev))
                }
            };
            match self.put(Area::Other, parked_item(&entry, rev.unwrap_or(0) + 1)?, rev).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict("unmatched_put"))
    }

    /// An entry and its revision. One consistent read.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn unmatched_get(&self, processor: Processor, object: &str) -> Result<Option<RevisedParked>, StoreError> {
        let item = self.get(Area::Other, keys::UNMATCHED.to_owned(), keys::unmatched(processor, object)).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Marks an entry as dealt with, in one transaction with its record in the audit log. The same note again changes nothing.
    /// Nothing where there is no such entry.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is no longer what they looked at; DynamoDB's.
    pub async fn unmatched_deal(&self, deal: Deal<'_>, by: &By) -> Result<Option<RevisedParked>, StoreError> {
        let Deal { processor, object, note, seen } = deal;
        let Some((held, rev)) = self.unmatched_get(processor, object).await? else { return Ok(None) };
        if held.is_dealt_with(note) {
            return Ok(Some((held, rev)));
        }
        if seen.is_some_and(|seen| seen != rev) {
            return Err(StoreError::Conflict("unmatched_deal"));
        }
        let before = held.standing();
        let dealing = Dealing { by: by.actor.to_string(), at: by.at, note: note.to_owned() };
        let next = Parked { status: ParkedStatus::DealtWith, dealing: Some(dealing), ..held };
        let record =
            by.record(PARKED_DEAL_WITH, format!("parked/{}", parked_id(processor, object)), before, next.standing());
        let put = self.put_action(parked_item(&next, rev + 1)?, Some(rev))?;
        match self.transact(Area::Other, vec![put, self.audit_action(&record)?]).await {
            Ok(()) => Ok(Some((next, rev + 1))),
            // The same request at the same time is no conflict. Anything else is not tried again: what came in between, nobody
            // has looked at.
            Err(StoreError::Conflict(name)) => {
                let held = self.unmatched_get(processor, object).await?;
                held.filter(|(held, _)| held.is_dealt_with(note)).map(Some).ok_or(StoreError::Conflict(name))
            }
            Err(error) => Err(error),
        }
    }

    /// What is parked, by processor and object, at most `limit`; of one status, or all. `after` is the `next` of the page
    /// before.
    ///
    /// # Errors
    /// DynamoDB's, or a record that cannot be read.
    pub async fn unmatched_list(
        &self,
        status: Option<ParkedStatus>,
        after: Option<(Processor, String)>,
        limit: usize,
    ) -> Result<ParkedPage, StoreError> {
        let stretch = if status.is_none() { limit + 1 } else { STRETCH.max(limit + 1) };
        let (mut data, mut next, mut examined) = (Vec::new(), after, 0);
        loop {
            let (items, is_last) = self.unmatched_stretch(next.as_ref(), stretch).await?;
            for item in &items {
                if data.len() == limit {
                    return Ok(ParkedPage { data, next });
                }
                let (entry, rev) = read_document::<Parked>(item)?;
                next = Some((entry.told.processor, entry.told.object.clone()));
                examined += 1;
                if status.is_none_or(|status| status == entry.status) {
                    data.push((entry, rev));
                }
            }
            if is_last {
                return Ok(ParkedPage { data, next: None });
            }
            if examined >= MAX_EXAMINED {
                return Ok(ParkedPage { data, next });
            }
        }
    }

    async fn unmatched_stretch(
        &self,
        after: Option<&(Processor, String)>,
        most: usize,
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let after = after.map(|(processor, object)| Span::After(keys::unmatched(*processor, object)));
        let query = Query::new(Area::Other, keys::UNMATCHED, after.unwrap_or(Span::All)).limit(most);
        let (items, next) = self.query(&query, None).await?;
        Ok((items, next.is_none()))
    }

    /// Keeps an event as it came. Whether it was new.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn event_keep(
        &self,
        processor: Processor,
        event: &str,
        raw: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let item = HashMap::from([
            (PK.to_owned(), s(keys::event_raw(processor, event))),
            (SK.to_owned(), s(keys::RAW)),
            (RAW_TEXT.to_owned(), s(raw)),
            (AT.to_owned(), n(now.secs())),
            (TTL.to_owned(), n(now.secs() + EVENT_KEPT_SECS)),
        ]);
        match self.put(Area::Other, item, None).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

const RAW_TEXT: &str = "raw";
const AT: &str = "at";

fn parked_item(entry: &Parked, rev: u32) -> Result<Item, StoreError> {
    let sk = keys::unmatched(entry.told.processor, &entry.told.object);
    document(keys::UNMATCHED.to_owned(), sk, rev, entry)
}
