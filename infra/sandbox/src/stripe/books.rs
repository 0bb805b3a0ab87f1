//! What Stripe knows.

use super::StripeError;
use super::cards::{Card, Decline};
use crate::bounded::Bounded;
use std::collections::BTreeMap;

pub(crate) type Metadata = BTreeMap<String, String>;

/// Every object, by kind.
pub(crate) struct Books {
    pub intents: Bounded<Intent>,
    pub charges: Bounded<Charge>,
    pub refunds: Bounded<Refund>,
    pub disputes: Bounded<Dispute>,
    pub customers: Bounded<Customer>,
    pub methods: Bounded<Method>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more comes of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub id: String,
    pub client_secret: String,
    pub amount: i64,
    pub currency: String,
    pub customer: Option<String>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub method: Option<String>,
    pub setup_future_usage: Option<String>,
    pub automatic_methods: bool,
    pub receipt_email: Option<String>,
    pub return_url: Option<String>,
    pub status: IntentStatus,
    pub failure: Option<(Decline, String)>,
    pub latest_charge: Option<String>,
    pub cancellation: Option<(i64, Option<String>)>,
    pub created: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub id: String,
    pub intent: String,
    pub amount: i64,
    pub currency: String,
    pub customer: Option<String>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub method: String,
    pub failure: Option<Decline>,
    pub refunded: i64,
    pub refunds: Vec<String>,
    pub dispute: Option<String>,
    pub created: i64,
}

impl Charge {
    pub fn captured(&self) -> i64 {
        if self.failure.is_none() { self.amount } else { 0 }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub id: String,
    pub charge: String,
    pub intent: String,
    pub amount: i64,
    pub currency: String,
    pub metadata: Metadata,
    pub reason: Option<String>,
    pub created: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisputeStatus {
    NeedsResponse,
    Won,
    Lost,
}

impl DisputeStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::NeedsResponse => "needs_response",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Dispute {
    pub id: String,
    pub charge: String,
    pub intent: String,
    pub amount: i64,
    pub currency: String,
    pub status: DisputeStatus,
    pub created: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub id: String,
    pub email: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub created: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub id: String,
    pub card: Card,
    pub customer: Option<String>,
    /// Used without a customer, or taken from one: never again.
    pub spent: bool,
    pub created: i64,
}

impl Books {
    pub fn new(most: usize) -> Self {
        Self {
            intents: Bounded::new(most),
            charges: Bounded::new(most),
            refunds: Bounded::new(most),
            disputes: Bounded::new(most),
            customers: Bounded::new(most),
            methods: Bounded::new(most),
        }
    }

    pub fn intent(&self, id: &str) -> Result<&Intent, StripeError> {
        self.intents.get(id).ok_or_else(|| StripeError::missing("payment_intent", id, "intent"))
    }

    pub fn intent_mut(&mut self, id: &str) -> Result<&mut Intent, StripeError> {
        self.intents.get_mut(id).ok_or_else(|| StripeError::missing("payment_intent", id, "intent"))
    }

    pub fn charge(&self, id: &str) -> Result<&Charge, StripeError> {
        self.charges.get(id).ok_or_else(|| StripeError::missing("charge", id, "id"))
    }

    pub fn customer(&self, id: &str, param: &'static str) -> Result<&Customer, StripeError> {
        self.customers.get(id).ok_or_else(|| StripeError::missing("customer", id, param))
    }

    pub fn method(&self, id: &str) -> Result<&Method, StripeError> {
        self.methods.get(id).ok_or_else(|| StripeError::missing("PaymentMethod", id, "payment_method"))
    }
}
