//! What PayPal knows.

use super::PayPalError;
use crate::bounded::Bounded;
use serde::{Deserialize, Serialize};

/// Every object, by kind.
pub(crate) struct Books {
    pub orders: Bounded<Order>,
    pub captures: Bounded<Capture>,
    pub refunds: Bounded<Refund>,
    pub disputes: Bounded<Dispute>,
    /// Access tokens and when they end, in seconds.
    pub tokens: Bounded<i64>,
}

/// What the payer's wallet does when an approved order is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wallet {
    /// It pays.
    #[default]
    Pays,
    /// It is declined: 422 `INSTRUMENT_DECLINED`.
    Declined,
    /// The capture stays pending until it is settled.
    Pending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderStatus {
    Created,
    PayerActionRequired,
    Approved,
    Completed,
}

impl OrderStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::PayerActionRequired => "PAYER_ACTION_REQUIRED",
            Self::Approved => "APPROVED",
            Self::Completed => "COMPLETED",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub id: String,
    pub status: OrderStatus,
    pub reference_id: String,
    pub custom_id: Option<String>,
    pub invoice_id: Option<String>,
    pub description: Option<String>,
    pub amount: i64,
    pub currency: String,
    pub return_url: Option<String>,
    pub cancel_url: Option<String>,
    /// Asked for with `payment_source`: its link is `payer-action`, otherwise `approve`.
    pub payer_action: bool,
    pub wallet: Wallet,
    pub capture: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureStatus {
    Pending,
    Completed,
    Declined,
}

#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub id: String,
    pub order: String,
    pub status: CaptureStatus,
    pub custom_id: Option<String>,
    pub invoice_id: Option<String>,
    pub amount: i64,
    pub currency: String,
    /// With what was reversed.
    pub refunded: i64,
    pub refunds: Vec<String>,
    pub dispute: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Capture {
    pub fn captured(&self) -> i64 {
        match self.status {
            CaptureStatus::Completed => self.amount,
            CaptureStatus::Pending | CaptureStatus::Declined => 0,
        }
    }

    pub fn status_name(&self) -> &'static str {
        match self.status {
            CaptureStatus::Pending => "PENDING",
            CaptureStatus::Declined => "DECLINED",
            CaptureStatus::Completed if self.refunded == 0 => "COMPLETED",
            CaptureStatus::Completed if self.refunded < self.amount => "PARTIALLY_REFUNDED",
            CaptureStatus::Completed => "REFUNDED",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub id: String,
    pub capture: String,
    pub amount: i64,
    pub currency: String,
    pub custom_id: Option<String>,
    pub invoice_id: Option<String>,
    pub note: Option<String>,
    /// What the capture had been refunded with this one.
    pub total: i64,
    pub created_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisputeOutcome {
    Seller,
    Buyer,
}

#[derive(Clone, Debug)]
pub(crate) struct Dispute {
    pub id: String,
    pub capture: String,
    pub amount: i64,
    pub currency: String,
    pub outcome: Option<DisputeOutcome>,
    /// The loss also stands among the refunds.
    pub reversed_too: bool,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Books {
    pub fn new(most: usize) -> Self {
        Self {
            orders: Bounded::new(most),
            captures: Bounded::new(most),
            refunds: Bounded::new(most),
            disputes: Bounded::new(most),
            tokens: Bounded::new(most),
        }
    }

    pub fn order(&self, id: &str) -> Result<&Order, PayPalError> {
        self.orders.get(id).ok_or_else(PayPalError::missing)
    }

    pub fn order_mut(&mut self, id: &str) -> Result<&mut Order, PayPalError> {
        self.orders.get_mut(id).ok_or_else(PayPalError::missing)
    }

    pub fn capture(&self, id: &str) -> Result<&Capture, PayPalError> {
        self.captures.get(id).ok_or_else(PayPalError::missing)
    }

    pub fn capture_mut(&mut self, id: &str) -> Result<&mut Capture, PayPalError> {
        self.captures.get_mut(id).ok_or_else(PayPalError::missing)
    }
}
