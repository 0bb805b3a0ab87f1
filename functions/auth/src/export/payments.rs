//! The payments of an export: as `payments` has them, without the links and codes that are of use only while one is open.

use api::{Money, Problem};
use domain::payment::{Payment, Refund};
use domain::{Amount, Id, Unit};
use serde::Serialize;
use store::{PaymentFilter, Store};
use utoipa::ToSchema;

/// Payments of one read.
const STRETCH: u16 = 100;
/// Reads of an export, which therefore holds the newest 500 payments. The list of `payments` has all.
const MAX_READS: usize = 5;

/// The newest payments.
#[derive(Serialize, ToSchema)]
pub struct Payments {
    /// Newest first.
    #[schema(max_items = 500)]
    data: Vec<ExportedPayment>,
    /// Whether there are older ones, which are in the list of `payments`.
    truncated: bool,
}

/// A payment.
#[derive(Serialize, ToSchema)]
pub struct ExportedPayment {
    /// Its id.
    id: String,
    /// Who took it: `stripe` or `paypal`.
    processor: &'static str,
    /// What the processor calls it.
    processor_object: Option<String>,
    /// What became of it, as `payments` words it.
    status: &'static str,
    /// What was asked for.
    amount: Money,
    /// What was taken.
    captured: Money,
    /// What was given back.
    refunded: Money,
    /// What disputes took and did not give back.
    disputed: Money,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When anything about it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// What was given back, one by one.
    refunds: Vec<ExportedRefund>,
}

/// A refund.
#[derive(Serialize, ToSchema)]
pub struct ExportedRefund {
    /// Its id.
    id: String,
    /// How much.
    amount: Money,
    /// What became of it, as `payments` words it.
    status: &'static str,
    /// Why, in words.
    reason: Option<String>,
    /// When it was asked for, or first seen.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Somebody's newest payments.
///
/// # Errors
/// The store's.
pub async fn of(store: &Store, user: &Id) -> Result<Payments, Problem> {
    let (mut data, mut after): (Vec<ExportedPayment>, _) = (Vec::new(), None);
    for _ in 0..MAX_READS {
        let page = store.payments_of(user, &PaymentFilter::default(), STRETCH, after).await?;
        data.extend(page.payments.into_iter().map(ExportedPayment::from));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let truncated = after.is_some();
    Ok(Payments { data, truncated })
}

fn usd(amount: Amount) -> Money {
    Money::new(amount, Unit::Usd)
}

impl From<Payment> for ExportedPayment {
    fn from(payment: Payment) -> Self {
        Self {
            processor: payment.processor.as_str(),
            status: payment.status.as_str(),
            amount: usd(payment.amount),
            captured: usd(payment.captured),
            refunded: usd(payment.refunded),
            disputed: usd(payment.disputed),
            created_at: payment.created_at.to_string(),
            updated_at: payment.updated_at.to_string(),
            refunds: payment.refunds.iter().map(ExportedRefund::from).collect(),
            processor_object: payment.object,
            id: payment.id.into(),
        }
    }
}

impl From<&Refund> for ExportedRefund {
    fn from(refund: &Refund) -> Self {
        Self {
            id: refund.id.clone(),
            amount: usd(refund.amount),
            status: refund.status.as_str(),
            reason: refund.reason.clone(),
            created_at: refund.at.to_string(),
        }
    }
}
