//! The cards a customer may have, as Stripe's test cards behave.

use serde::{Deserialize, Serialize};

/// A test card. [`Card::TOKENS`] has the payment methods that stand for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// Always pays.
    Visa,
    /// Always declined.
    Declined,
    /// Declined for want of money.
    InsufficientFunds,
    /// Asks the customer each time: `requires_action` on the page, declined when the customer is absent.
    AuthenticationRequired,
    /// Pays while the customer is present and is declined later.
    DeclinedLater,
}

impl Card {
    /// Payment methods and the cards they stand for.
    pub const TOKENS: [(&'static str, Self); 7] = [
        ("pm_card_visa", Self::Visa),
        ("pm_card_chargeDeclined", Self::Declined),
        ("pm_card_visa_chargeDeclined", Self::Declined),
        ("pm_card_chargeDeclinedInsufficientFunds", Self::InsufficientFunds),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", Self::InsufficientFunds),
        ("pm_card_authenticationRequired", Self::AuthenticationRequired),
        ("pm_card_chargeCustomerFail", Self::DeclinedLater),
    ];

    pub(crate) fn from_token(token: &str) -> Option<Self> {
        Self::TOKENS.into_iter().find(|(each, _)| *each == token).map(|(_, card)| card)
    }

    pub(super) fn last4(self) -> &'static str {
        match self {
            Self::Visa => "4242",
            Self::Declined => "0002",
            Self::InsufficientFunds => "9995",
            Self::AuthenticationRequired => "3184",
            Self::DeclinedLater => "0341",
        }
    }

    /// What happens when it is charged.
    pub(super) fn charged(self, presence: Presence) -> Charged {
        match (self, presence) {
            (Self::Visa, _) | (Self::DeclinedLater, Presence::Page) => Charged::Paid,
            (Self::Declined | Self::DeclinedLater, _) => Charged::Declined(Decline::GENERIC),
            (Self::InsufficientFunds, _) => Charged::Declined(Decline::FUNDS),
            (Self::AuthenticationRequired, Presence::Page | Presence::OnSession) => Charged::Asks,
            (Self::AuthenticationRequired, Presence::OffSession) => Charged::Declined(Decline::AUTHENTICATION),
        }
    }
}

/// Where the customer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// At the page, card in hand.
    Page,
    /// With the shop.
    OnSession,
    /// Elsewhere.
    OffSession,
}

/// What came of charging a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    Paid,
    Asks,
    Declined(Decline),
}

/// Why a card was not charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub code: &'static str,
    pub decline_code: Option<&'static str>,
    pub message: &'static str,
}

impl Decline {
    const GENERIC: Self =
        Self { code: "card_declined", decline_code: Some("generic_decline"), message: "Your card was declined." };
    const FUNDS: Self = Self {
        code: "card_declined",
        decline_code: Some("insufficient_funds"),
        message: "Your card has insufficient funds.",
    };
    const AUTHENTICATION: Self = Self {
        code: "authentication_required",
        decline_code: Some("authentication_required"),
        message: "Your card was declined. This transaction requires authentication.",
    };
    pub(super) const FAILED_AUTHENTICATION: Self = Self {
        code: "payment_intent_authentication_failure",
        decline_code: None,
        message: "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
    };
}
