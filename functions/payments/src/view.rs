//! A payment, as callers read it.

use api::show;
use domain::payment::{Decline, Payment, Refund};
use domain::{Amount, Id, Unit};
use serde::Serialize;
use utoipa::ToSchema;

/// A payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: Id,
    /// `stripe` or `paypal`.
    #[schema(pattern = "^(stripe|paypal)$")]
    pub processor: &'static str,
    /// `credits` where the customer bought them, `top_up` where a low balance did.
    #[schema(pattern = "^(credits|top_up)$")]
    pub purpose: &'static str,
    /// `created`, `pending`, `requires_action`, `succeeded`, `failed`, `canceled`, `partially_refunded`, `refunded` or
    /// `disputed`.
    #[schema(pattern = "^[a-z_]+$", example = "succeeded")]
    pub status: &'static str,
    /// What was asked for.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "20.00")]
    pub amount: String,
    /// Always `USD`.
    #[schema(pattern = "^USD$")]
    pub currency: &'static str,
    /// What the processor captured; this is what was credited.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "20.00")]
    pub captured_amount: String,
    /// What was given back.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "0.00")]
    pub refunded_amount: String,
    /// What disputes took and did not give back.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "0.00")]
    pub disputed_amount: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When anything about it last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// The processor's object: a payment intent, an order.
    pub processor_object: Option<String>,
    /// Where the customer agrees to it, for PayPal.
    pub approve_url: Option<String>,
    /// Why it failed, in a plain code; an admin sees the processor's.
    pub failure: Option<String>,
    /// Its refunds.
    pub refunds: Vec<RefundView>,
}

/// A refund.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefundView {
    /// Its id.
    pub id: String,
    /// How much.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "5.00")]
    pub amount: String,
    /// Always `USD`.
    #[schema(pattern = "^USD$")]
    pub currency: &'static str,
    /// `requested`, `unknown` (the processor was asked and did not answer), `pending`, `succeeded` or `failed`.
    #[schema(pattern = "^(requested|unknown|pending|succeeded|failed)$")]
    pub status: &'static str,
    /// Why, in words.
    pub reason: Option<String>,
    /// When it was asked for, or first seen.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// USD with two decimals.
pub fn usd(amount: Amount) -> String {
    show(amount, Unit::Usd)
}

impl PaymentView {
    /// As an operator reads it: with the processor's own code.
    pub fn for_operator(payment: Payment) -> Self {
        let failure = payment.failure.clone();
        Self { failure, ..payment.into() }
    }
}

/// As its customer reads it: of a failure, a plain reason.
impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        Self {
            processor: payment.processor.as_str(),
            purpose: match payment.purpose {
                domain::payment::Purpose::Credits => "credits",
                domain::payment::Purpose::TopUp => "top_up",
            },
            status: payment.status.as_str(),
            amount: usd(payment.amount),
            currency: "USD",
            captured_amount: usd(payment.captured),
            refunded_amount: usd(payment.refunded),
            disputed_amount: usd(payment.disputed),
            created_at: payment.created_at.to_string(),
            updated_at: payment.updated_at.to_string(),
            processor_object: payment.object,
            approve_url: payment.approve_url.filter(|_| payment.open),
            failure: payment.failure.map(|code| Decline::of(&code).as_str().to_owned()),
            refunds: payment.refunds.iter().map(RefundView::from).collect(),
            id: payment.id,
        }
    }
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        Self {
            id: refund.id.clone(),
            amount: usd(refund.amount),
            currency: "USD",
            status: refund.status.as_str(),
            reason: refund.reason.clone(),
            created_at: refund.at.to_string(),
        }
    }
}
