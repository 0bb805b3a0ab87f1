//! What can go wrong at the counter: for the caller in words, for the operator in the log.

use api::{FieldError, Problem};
use axum::http::StatusCode;
use domain::payment::{Decline, Processor, PurchaseError, RefundError};
use providers::CallError;
use store::StoreError;

/// A failed action. Its text is for an operator; a caller gets the [`Problem`] made of it.
#[derive(Debug, thiserror::Error)]
pub enum CashierError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The processor did not do it, or nobody knows whether it did.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The processor is not set up here.
    #[error("{0} is not set up")]
    NotConfigured(Processor),
    /// There is no such payment, or it is somebody else's.
    #[error("there is no such payment")]
    NotFound,
    /// The same key stands for another payment.
    #[error("the same key stands for another payment")]
    OtherRequest,
    /// The processor refused, and will do so again.
    #[error("the processor refused: {0}")]
    Refused(String),
    /// The amount is not sold.
    #[error(transparent)]
    Purchase(#[from] PurchaseError),
    /// It cannot be refunded.
    #[error(transparent)]
    Refund(#[from] RefundError),
    /// The payment is not in a state for it. The words are for the caller.
    #[error("{0}")]
    State(&'static str),
}

impl CashierError {
    /// What an operator is told: a refusal with the processor's own code, which no customer reads.
    #[must_use]
    pub fn for_operator(self) -> Problem {
        match self {
            Self::Refused(code) => refused(&code),
            other => other.into(),
        }
    }

    /// A call that failed: a refusal for good is the caller's to know, everything else may be tried again.
    pub(crate) fn of(error: CallError) -> Self {
        Self::of_refusal(&error).unwrap_or(Self::Call(error))
    }

    /// A refusal for good.
    pub(crate) fn of_refusal(error: &CallError) -> Option<Self> {
        let refusal = error.refusal().filter(|refusal| !is_our_fault(refusal.status))?;
        Some(Self::Refused(refusal.code.clone()))
    }
}

fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "processor_refused", format!("The payment processor refused it: {why}."))
}

/// Why a refund cannot be made; of an amount, where it stands in the body.
fn not_refundable(error: RefundError) -> Problem {
    let detail = format!("It cannot be refunded: {error}.");
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_refundable", detail);
    match error {
        RefundError::NotAnAmount | RefundError::TooMuch(_) => {
            problem.with_errors(vec![FieldError::body("/amount", error.to_string())])
        }
        RefundError::NothingLeft | RefundError::TooMany => problem,
        RefundError::Differs => {
            Problem::new(StatusCode::CONFLICT, "key_reused", format!("It cannot be done: {error}."))
        }
    }
}

/// Statuses that say something about our account or our speed, not about the payment.
fn is_our_fault(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 425 | 429)
}

impl From<CashierError> for Problem {
    fn from(error: CashierError) -> Self {
        match error {
            CashierError::Store(error) => error.into(),
            CashierError::Call(error) => {
                tracing::error!(error = %error, "a processor failed");
                let detail = "The payment processor does not answer; try again with the same Idempotency-Key.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "processor_unavailable", detail).retry_after(5)
            }
            CashierError::NotConfigured(processor) => {
                let detail = format!("Payments by {processor} are not taken here.");
                Self::new(StatusCode::CONFLICT, "processor_not_configured", detail)
            }
            CashierError::NotFound => Self::not_found(),
            CashierError::OtherRequest => {
                let detail = "This idempotency key stands for another payment.";
                Self::new(StatusCode::CONFLICT, "key_reused", detail)
            }
            CashierError::Refused(code) => {
                tracing::warn!(code, "a processor refused");
                refused(Decline::of(&code).words())
            }
            CashierError::Purchase(error) => Self::field("/amount", error.to_string()),
            CashierError::Refund(error) => not_refundable(error),
            CashierError::State(detail) => Self::new(StatusCode::CONFLICT, "wrong_state", detail),
        }
    }
}
