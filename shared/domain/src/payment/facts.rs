//! What a processor says of a payment: captures, refunds and disputes, in our words and not yet judged.

use crate::money::Amount;

/// Money as a processor reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// US dollars.
    Usd(Amount),
    /// Anything else, in the processor's words: it is never converted.
    Foreign(String),
}

/// Where the processor's object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The customer has not paid yet.
    Waiting,
    /// The customer must confirm with their bank.
    ActionRequired,
    /// Under way.
    Processing,
    /// The last try was declined; there may be another.
    Declined,
    /// Captured.
    Captured,
    /// Over without a capture, and it will stay so.
    Canceled,
}

/// Whose payment the object says it is: what we wrote on it when we made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Our payment.
    pub payment: Option<String>,
    /// Our customer.
    pub customer: Option<String>,
}

/// Money that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The object that stands for it.
    pub object: String,
    /// How much.
    pub money: Reported,
}

/// Where a refund stands at the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// On its way: the money has left our account.
    Pending,
    /// Arrived.
    Succeeded,
    /// It came back.
    Failed,
}

/// A refund, as the processor lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundFact {
    /// Its object.
    pub object: String,
    /// How much.
    pub money: Reported,
    /// Where it stands.
    pub state: RefundState,
    /// Our refund's id, where we wrote one on it.
    pub claim: Option<String>,
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeState {
    /// The money is held, nothing is decided.
    Open,
    /// The money is back.
    Won,
    /// The money is gone.
    Lost,
}

/// A dispute that took money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeFact {
    /// Its object.
    pub object: String,
    /// How much.
    pub money: Reported,
    /// Where it stands.
    pub state: DisputeState,
    /// It was lost, and the same money is listed among the refunds, too.
    pub as_refund: bool,
    /// What it took in the end, where it was lost for less than it was about.
    pub lost: Option<Amount>,
}

/// All a processor says of a payment at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The object.
    pub object: String,
    /// Whose it is.
    pub claims: Claims,
    /// Where it stands.
    pub state: State,
    /// Money in.
    pub captures: Vec<Capture>,
    /// Money back.
    pub refunds: Vec<RefundFact>,
    /// Money taken.
    pub disputes: Vec<DisputeFact>,
    /// The disputes could not be read: what is known of them stands.
    pub disputes_unread: bool,
    /// Why the last try failed, in the processor's code.
    pub failure: Option<String>,
}

impl DisputeFact {
    /// What it took, where that is not all of it.
    pub(super) fn taken_of(&self, amount: Amount) -> Amount {
        self.lost.map_or(amount, |lost| lost.max(Amount::ZERO).min(amount))
    }

    /// What is gone of its amount, and not as a refund.
    pub(super) fn took(&self, amount: Amount) -> Amount {
        match self.state {
            DisputeState::Open => amount,
            DisputeState::Lost if !self.as_refund => self.taken_of(amount),
            DisputeState::Lost | DisputeState::Won => Amount::ZERO,
        }
    }
}
