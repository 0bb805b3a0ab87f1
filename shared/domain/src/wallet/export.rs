//! The public form of a page: one JSON object, and the hash over its RFC 8785 (JCS) form.
//!
//! The fields of [`ExportPage`] and of its lines are declared in the order JCS sorts them, all strings are escaped as JCS
//! does, and all numbers are small integers: so plain serialisation *is* the canonical form.

use super::page::{Line, Page};
use crate::money::Unit;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt::Display;

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A page as `skymeter export` prints it.
#[derive(Serialize)]
#[expect(missing_docs, reason = "the names are the format, described in README.md")]
pub struct ExportPage<'a> {
    pub actor: Option<&'a str>,
    #[serde(serialize_with = "text")]
    pub after: crate::money::DisplayAmount,
    #[serde(serialize_with = "text")]
    pub amount: crate::money::DisplayAmount,
    #[serde(serialize_with = "text")]
    pub at: crate::Timestamp,
    #[serde(serialize_with = "text")]
    pub before: crate::money::DisplayAmount,
    pub customer: &'a str,
    /// Left out while the hash is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    pub kind: &'static str,
    pub lane: u16,
    pub lines: Vec<ExportLine<'a>>,
    pub prev_hash: String,
    pub reason: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub seq: u64,
    pub unit: &'static str,
}

/// A line as `skymeter export` prints it.
#[derive(Serialize)]
pub struct ExportLine<'a> {
    #[serde(serialize_with = "text")]
    pub amount: crate::money::DisplayAmount,
    #[serde(serialize_with = "text")]
    pub from: crate::Hour,
    pub hours: u32,
    pub n: u32,
    pub per: u16,
    pub price: String,
    pub server: &'a str,
    #[serde(serialize_with = "text")]
    pub to: crate::Hour,
}

impl<'a> ExportPage<'a> {
    /// The page with its hash.
    #[must_use]
    pub fn new(page: &'a Page) -> Self {
        Self { hash: Some(hex::encode(page.hash)), ..Self::unhashed(page) }
    }

    fn unhashed(page: &'a Page) -> Self {
        let unit = page.wallet.unit;
        Self {
            actor: page.actor.as_deref(),
            after: page.after.display(unit),
            amount: page.amount.display(unit),
            at: page.at,
            before: page.before.display(unit),
            customer: page.wallet.customer.as_str(),
            hash: None,
            kind: page.kind.as_str(),
            lane: page.wallet.lane,
            lines: page.lines.iter().map(|line| ExportLine::new(line, unit)).collect(),
            prev_hash: hex::encode(page.prev_hash),
            reason: page.reason.as_deref(),
            reference: page.reference.as_deref(),
            seq: page.seq,
            unit: unit.as_str(),
        }
    }
}

impl<'a> ExportLine<'a> {
    fn new(line: &'a Line, unit: Unit) -> Self {
        Self {
            amount: line.amount.display(unit),
            from: line.from,
            hours: line.hours(),
            n: line.n(),
            per: line.per,
            price: line.price.display(unit),
            server: line.server.as_str(),
            to: line.to,
        }
    }
}

/// SHA-256 of the RFC 8785 form of the page without `hash`.
#[must_use]
pub fn page_hash(page: &Page) -> [u8; 32] {
    // Serialising strings and integers into memory cannot fail; an empty form would fail verification loudly.
    let canonical = serde_json::to_vec(&ExportPage::unhashed(page)).unwrap_or_default();
    Sha256::digest(&canonical).into()
}
