//! Buying credits: what a payment is, what may be asked of it, and (in [`settle`]) what follows from what its processor says.
//!
//! Owns: the amounts that may be bought, a payment's record and its states, what may still be refunded, when it is looked at
//! next, ids that a repeated request finds again.
//!
//! Does *not*: call a processor, read a clock, or post anything. The processor is believed, the customer is not: the invariant
//! is that the pages a payment leads to depend on the processor's newest account of it alone, not on who told us when.

mod amount;
mod decline;
mod facts;
mod pages;
mod posted;
mod refund;
pub mod settle;
#[cfg(test)]
mod tests;

pub use amount::{
    MAX_PURCHASE, MIN_PURCHASE, PurchaseError, STEPS_PER_CENT, check_purchase, from_cents, parse_cents, parse_purchase,
    to_cents, to_decimal,
};
pub use decline::Decline;
pub use facts::{Capture, Claims, DisputeFact, DisputeState, Facts, RefundFact, RefundState, Reported, State};
pub use posted::PostedPage;
pub use refund::{MAX_REFUNDS, Refund, RefundError, RefundRequest, RefundStatus};
pub use settle::{Absorbed, Mismatch, Posting};

use crate::money::{Amount, Unit};
use crate::time::Timestamp;
use crate::{Id, tenure::WalletId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// After so long a payment that nobody finished is given up, and the processor told so.
pub const ABANDONED_SECS: i64 = 24 * 3_600;
/// The first look at an open payment comes so long after it was made, the next ones at half its age.
pub const FIRST_LOOK_SECS: i64 = 60;
/// And at least this often.
const LONGEST_LOOK_SECS: i64 = 3_600;
/// Days after which a payment that is over is looked at once more, should word of a refund or dispute have been lost.
const WATCH_DAYS: [i64; 9] = [1, 3, 7, 14, 30, 60, 90, 120, 180];
/// A payment that came to nothing is looked at once more after so many days: somebody may have captured it meanwhile.
const LAST_LOOK_DAYS: i64 = 2;
const DAY_SECS: i64 = 86_400;
/// Longest note or failure that is kept, in characters.
const MAX_NOTE_CHARS: usize = 300;

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Processor {
    /// Cards and what else Stripe takes.
    Stripe,
    /// PayPal orders.
    Paypal,
}

impl Processor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stripe, Self::Paypal];

    /// Its name in keys and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Paypal => "paypal",
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|processor| processor.as_str() == text)
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written down here; the processor may not know of it yet.
    Created,
    /// At the processor, not captured yet.
    Pending,
    /// The customer must do something first.
    RequiresAction,
    /// Captured.
    Succeeded,
    /// Declined or refused.
    Failed,
    /// Given up; it will not be captured.
    Canceled,
    /// Captured, and a part of it given back.
    PartiallyRefunded,
    /// Captured, and all of it given back.
    Refunded,
    /// Captured, and taken back by the customer's bank, or about to be.
    Disputed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Pending,
        Self::RequiresAction,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Disputed,
    ];

    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }
}

/// Why it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The customer bought credits.
    Credits,
    /// A low balance did, with a saved method, while the customer was away.
    TopUp,
}

/// A payment, as it is stored. It says what was asked and what the processor has said so far; the money is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id, also the idempotency key of its creation at the processor.
    pub id: Id,
    /// Whose it is.
    pub customer: Id,
    /// Who moves the money.
    pub processor: Processor,
    /// Why it was made.
    pub purpose: Purpose,
    /// What was asked for.
    pub amount: Amount,
    /// Where it stands.
    pub status: Status,
    /// Whether the processor might still capture it.
    pub open: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its record last changed.
    pub updated_at: Timestamp,
    /// When the sweep looks at it next; never where there is nothing.
    pub due: Option<Timestamp>,
    /// Whether the customer wants the method saved.
    pub save_method: bool,
    /// The saved method a top-up charges.
    pub method: Option<String>,
    /// The processor's object: a payment intent, an order.
    pub object: Option<String>,
    /// The object a refund names, where that is another one: a PayPal capture.
    pub capture: Option<String>,
    /// Where the customer agrees to it, for PayPal.
    pub approve_url: Option<String>,
    /// What the processor captured.
    pub captured: Amount,
    /// What it gave back.
    pub refunded: Amount,
    /// What disputes took and did not give back.
    pub disputed: Amount,
    /// Refunds, ours and those made at the processor.
    pub refunds: Vec<Refund>,
    /// The pages this payment led to.
    pub posted: Vec<PostedPage>,
    /// Why it failed, in the processor's code.
    pub failure: Option<String>,
    /// What an operator should know.
    pub note: Option<String>,
}

/// What a new payment is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayment {
    /// See [`Payment::id`].
    pub id: Id,
    /// Whose it is.
    pub customer: Id,
    /// Who moves the money.
    pub processor: Processor,
    /// Why.
    pub purpose: Purpose,
    /// How much.
    pub amount: Amount,
    /// Save the method.
    pub save_method: bool,
    /// The saved method of a top-up.
    pub method: Option<String>,
}

impl Payment {
    /// A payment the processor does not know of yet.
    #[must_use]
    pub fn new(new: NewPayment, now: Timestamp) -> Self {
        Self {
            id: new.id,
            customer: new.customer,
            processor: new.processor,
            purpose: new.purpose,
            amount: new.amount,
            status: Status::Created,
            open: true,
            created_at: now,
            updated_at: now,
            due: Some(now.plus_secs(FIRST_LOOK_SECS)),
            save_method: new.save_method,
            method: new.method,
            object: None,
            capture: None,
            approve_url: None,
            captured: Amount::ZERO,
            refunded: Amount::ZERO,
            disputed: Amount::ZERO,
            refunds: Vec::new(),
            posted: Vec::new(),
            failure: None,
            note: None,
        }
    }

    /// Whether it is what this one asks for: the same id may not stand for something else.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.customer == other.customer
            && self.processor == other.processor
            && self.purpose == other.purpose
            && self.amount == other.amount
            && self.save_method == other.save_method
    }

    /// The wallet it is credited to.
    #[must_use]
    pub fn wallet(&self) -> WalletId {
        WalletId { customer: self.customer.clone(), unit: Unit::Usd, lane: 0 }
    }

    /// Seconds since it was made.
    #[must_use]
    pub fn age_secs(&self, now: Timestamp) -> i64 {
        now.since(self.created_at).max(0)
    }

    /// It came to nothing, and the processor will not capture it.
    #[must_use]
    pub fn failed(mut self, why: &str, now: Timestamp) -> Self {
        self.status = Status::Failed;
        self.open = false;
        self.failure = Some(shorten(why));
        self.looked_at(now)
    }

    /// What the processor says cannot be matched: it stays as it is, until an operator has looked.
    #[must_use]
    pub fn parked(mut self, why: &str, now: Timestamp) -> Self {
        self.note = Some(shorten(why));
        self.due = None;
        self.updated_at = now;
        self
    }

    /// With the time of the next look set from what is known now.
    #[must_use]
    pub fn looked_at(mut self, now: Timestamp) -> Self {
        self.updated_at = now;
        self.due = self.next_look(now);
        self
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let soon = |since: Timestamp| {
            let age = now.since(since).max(0);
            now.plus_secs((age / 2).clamp(FIRST_LOOK_SECS, LONGEST_LOOK_SECS))
        };
        if self.open {
            return Some(soon(self.created_at));
        }
        if let Some(refund) = self.refunds.iter().filter(|refund| refund.is_open()).max_by_key(|refund| refund.at) {
            return Some(soon(refund.at));
        }
        let day = |days: i64| self.created_at.plus_secs(days * DAY_SECS);
        if self.captured == Amount::ZERO {
            return Some(day(LAST_LOOK_DAYS)).filter(|at| *at > now);
        }
        WATCH_DAYS.into_iter().map(day).find(|at| *at > now)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_NOTE_CHARS).collect()
}

/// The id a repeated request finds again: a prefix, and a hash of who asked and how they named the request.
#[must_use]
pub fn repeatable_id(prefix: &str, who: &Id, key: &str) -> Id {
    let digest = hex::encode(Sha256::digest(format!("{prefix}#{who}#{key}")));
    let text = format!("{prefix}_{}", digest.get(..32).unwrap_or_default());
    // The alphabet is hexadecimal and the prefix is ours; should it not be an id, the customer's own is one.
    Id::new(&text).unwrap_or_else(|_| who.clone())
}
