//! Giving back: what may be refunded, and what became of it.

use super::{Payment, STEPS_PER_CENT, shorten};
use crate::Id;
use crate::money::Amount;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Refunds of one payment that are made through here.
pub const MAX_REFUNDS: usize = 50;

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Written down here; the processor may not know of it yet.
    Requested,
    /// The processor was asked and its answer was lost: it is read, not asked blindly again.
    Unknown,
    /// Under way: the credit is gone already.
    Pending,
    /// Done.
    Succeeded,
    /// Refused, or it came back: the credit is there again.
    Failed,
}

impl RefundStatus {
    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// A refund of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// `rfd_...`; of one that was made at the processor, its object's.
    pub id: String,
    /// How much.
    pub amount: Amount,
    /// Whether all that was left was asked for, not an amount.
    #[serde(default)]
    pub rest: bool,
    /// Why, in words.
    pub reason: Option<String>,
    /// Who asked.
    pub by: Option<String>,
    /// When it was asked for, or first seen.
    pub at: Timestamp,
    /// Where it stands.
    pub status: RefundStatus,
    /// The processor's object.
    pub object: Option<String>,
}

impl Refund {
    /// Whether it may still change.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.status {
            RefundStatus::Requested | RefundStatus::Unknown | RefundStatus::Pending => true,
            RefundStatus::Succeeded | RefundStatus::Failed => false,
        }
    }

    /// Whether the processor has not been heard to know of it.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        matches!(self.status, RefundStatus::Requested | RefundStatus::Unknown)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// Its id: the same request has the same.
    pub id: Id,
    /// How much; all that is left where there is nothing.
    pub amount: Option<Amount>,
    /// Why.
    pub reason: Option<String>,
    /// Who asks.
    pub by: String,
}

/// A refund that cannot be made. The words are for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundError {
    /// There is nothing (left) to give back.
    #[error("nothing of this payment is left to refund")]
    NothingLeft,
    /// More than is left.
    #[error("no more than {0} USD is left to refund")]
    TooMuch(Left),
    /// Zero, negative, or parts of a cent.
    #[error("a refund is more than zero, with at most two decimals")]
    NotAnAmount,
    /// Too many of them.
    #[error("this payment has had too many refunds; refund the rest at the processor")]
    TooMany,
    /// The same id asked for something else.
    #[error("this refund was asked for with another amount or reason")]
    Differs,
}

/// An amount in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left(pub Amount);

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::to_decimal(self.0).unwrap_or_default())
    }
}

impl Payment {
    /// What may still be given back: captured, less what refunds and disputes took and what refunds will take that the
    /// processor has not confirmed.
    #[must_use]
    pub fn refundable(&self) -> Amount {
        let reserved: Amount =
            self.refunds.iter().filter(|refund| refund.is_unheard()).map(|refund| refund.amount).sum();
        let left = self.captured - self.refunded - self.disputed - reserved;
        left.max(Amount::ZERO)
    }

    /// The refund of this id, if it was asked for.
    #[must_use]
    pub fn refund(&self, id: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// The payment with the refund reserved; unchanged where the same one was asked for before.
    ///
    /// # Errors
    /// [`RefundError`].
    pub fn with_refund(&self, request: &RefundRequest, now: Timestamp) -> Result<Self, RefundError> {
        if let Some(held) = self.refund(request.id.as_str()) {
            // To ask for all that is left is not to ask for what that was: there may be less or more by now.
            let amount = request.amount.map_or(held.rest, |amount| !held.rest && amount == held.amount);
            let same = amount && held.reason == request.reason.as_deref().map(shorten);
            return if same { Ok(self.clone()) } else { Err(RefundError::Differs) };
        }
        let left = self.refundable();
        let amount = request.amount.unwrap_or(left);
        if left == Amount::ZERO {
            return Err(RefundError::NothingLeft);
        }
        if amount <= Amount::ZERO || amount.steps() % STEPS_PER_CENT != 0 {
            return Err(RefundError::NotAnAmount);
        }
        if amount > left {
            return Err(RefundError::TooMuch(Left(left)));
        }
        if self.refunds.len() >= MAX_REFUNDS {
            return Err(RefundError::TooMany);
        }
        let mut next = self.clone();
        next.refunds.push(Refund {
            id: request.id.to_string(),
            amount,
            rest: request.amount.is_none(),
            reason: request.reason.as_deref().map(shorten),
            by: Some(request.by.clone()),
            at: now,
            status: RefundStatus::Requested,
            object: None,
        });
        Ok(next.looked_at(now))
    }

    /// What became of asking for a refund, where that is known before the processor lists it.
    #[must_use]
    pub fn with_refund_status(mut self, id: &str, status: RefundStatus, now: Timestamp) -> Self {
        for refund in self.refunds.iter_mut().filter(|refund| refund.id == id && refund.is_unheard()) {
            refund.status = status;
        }
        self.looked_at(now)
    }
}
