//! What PayPal says of a payment, in the words of [`domain::payment`]; and the capture, which is ours to make once the payer
//! has agreed.

use crate::send::custom_id;
use crate::settle::Said;
use crate::{Cashier, CashierError};
use domain::payment::{
    Capture, Claims, DisputeFact, DisputeState, Facts, Payment, RefundFact, RefundState, Reported, State, parse_cents,
};
use domain::{Amount, Timestamp};
use providers::paypal::{
    PayPalCaptureStatus, PayPalDispute, PayPalMoney, PayPalOrder, PayPalOrderStatus, PayPalOutcome, PayPalRefund,
    PayPalRefundStatus,
};

/// The processor's code where the payer's instrument was declined at the capture; the payer may choose another.
const DECLINED: &str = "INSTRUMENT_DECLINED";
/// Of what begins so, we wrote it.
const OUR_REFUND: &str = "rfd_";

impl Cashier {
    /// All PayPal says of an order; nothing where it knows none of that id. An approved order of an open payment is captured
    /// first: the payer has agreed, whoever tells us so. Disputes are asked for once a capture is on our record: what was
    /// captured is credited before, and whatever becomes of asking.
    pub(crate) async fn paypal_facts(&self, payment: &Payment, order: &str) -> Result<Option<Said>, CashierError> {
        let Some(mut order) = self.paypal_order(order).await? else { return Ok(None) };
        let is_ours = order.custom_id.as_deref() == Some(custom_id(&payment.id, &payment.customer).as_str());
        let mut failure = None;
        if order.status == PayPalOrderStatus::Approved && is_ours && self.may_capture(payment) {
            failure = self.paypal_capture(payment, &order.id).await?;
            order = self.paypal_order(&order.id).await?.ok_or(CashierError::NotFound)?;
        }
        let (disputes, unread) = match payment.capture {
            Some(_) => match self.paypal_disputes(&order).await {
                Ok(disputes) => (disputes, None),
                Err(error) => (Vec::new(), Some(error)),
            },
            None => (Vec::new(), None),
        };
        let mut facts = facts(order, disputes, failure, payment.open);
        facts.disputes_unread = unread.is_some();
        Ok(Some(Said { facts, unread }))
    }

    async fn paypal_disputes(&self, order: &PayPalOrder) -> Result<Vec<PayPalDispute>, CashierError> {
        let mut disputes = Vec::new();
        for capture in order.captures.iter().filter(|capture| capture.status == PayPalCaptureStatus::Captured) {
            disputes.extend(self.paypal()?.disputes(&capture.id).await.map_err(CashierError::of)?);
        }
        Ok(disputes)
    }

    /// Whether it is still ours to capture: not once it was given up.
    fn may_capture(&self, payment: &Payment) -> bool {
        payment.open && payment.age_secs(self.clock.now()) < domain::payment::ABANDONED_SECS
    }

    async fn paypal_order(&self, order: &str) -> Result<Option<PayPalOrder>, CashierError> {
        match self.paypal()?.order(order).await {
            Ok(order) => Ok(Some(order)),
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status == 404) => Ok(None),
            Err(error) => Err(CashierError::of(error)),
        }
    }

    /// Captures the order, once: the key is the payment's. Why it was declined, if it was.
    async fn paypal_capture(&self, payment: &Payment, order: &str) -> Result<Option<String>, CashierError> {
        let key = format!("{}-capture", payment.id);
        match self.paypal()?.capture_order(order, &key).await {
            Ok(()) => Ok(None),
            // What is refused, or whose answer was lost, is told by the order itself, which is read next.
            Err(error) => match error.refusal() {
                Some(refusal) if refusal.code == DECLINED => Ok(Some(DECLINED.to_ascii_lowercase())),
                Some(refusal) if refusal.status == 422 => Ok(None),
                Some(_) => Err(CashierError::of(error)),
                None => Ok(None),
            },
        }
    }

    /// What is said of an order PayPal has forgotten: one that was never captured is over.
    pub(crate) fn forgotten_order(payment: &Payment, order: &str) -> Option<Facts> {
        (payment.captured == Amount::ZERO).then(|| Facts {
            object: order.to_owned(),
            claims: Claims { payment: Some(payment.id.to_string()), customer: Some(payment.customer.to_string()) },
            state: State::Canceled,
            captures: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            disputes_unread: false,
            failure: None,
        })
    }
}

fn facts(order: PayPalOrder, disputes: Vec<PayPalDispute>, failure: Option<String>, is_open: bool) -> Facts {
    let has = |status: PayPalCaptureStatus| order.captures.iter().any(|capture| capture.status == status);
    let state = if has(PayPalCaptureStatus::Captured) {
        State::Captured
    } else if has(PayPalCaptureStatus::Pending) {
        State::Processing
    } else {
        match order.status {
            PayPalOrderStatus::Voided => State::Canceled,
            PayPalOrderStatus::Completed if has(PayPalCaptureStatus::Declined) => State::Canceled,
            PayPalOrderStatus::Completed => State::Processing,
            // Only we capture, and we do so for open payments alone.
            PayPalOrderStatus::Waiting | PayPalOrderStatus::Approved if !is_open => State::Canceled,
            PayPalOrderStatus::Waiting | PayPalOrderStatus::Approved if failure.is_some() => State::Declined,
            PayPalOrderStatus::Waiting | PayPalOrderStatus::Approved => State::Waiting,
        }
    };
    let declined = has(PayPalCaptureStatus::Declined).then(|| "declined".to_owned());
    let disputes = dispute_facts(disputes, &order.refunds);
    let captured = order.captures.into_iter().filter(|capture| capture.status == PayPalCaptureStatus::Captured);
    Facts {
        claims: read_custom_id(order.custom_id.as_deref()),
        state,
        captures: captured.map(|capture| Capture { money: money(&capture.money), object: capture.id }).collect(),
        refunds: order.refunds.into_iter().map(refund_fact).collect(),
        disputes,
        disputes_unread: false,
        failure: failure.or(declined),
        object: order.id,
    }
}

/// Undoes [`custom_id`].
pub(crate) fn read_custom_id(text: Option<&str>) -> Claims {
    let (payment, customer) = text.and_then(|text| text.split_once(':')).unzip();
    Claims { payment: payment.map(str::to_owned), customer: customer.map(str::to_owned) }
}

fn refund_fact(refund: PayPalRefund) -> RefundFact {
    RefundFact {
        money: money(&refund.money),
        state: match refund.status {
            PayPalRefundStatus::Pending => RefundState::Pending,
            PayPalRefundStatus::Completed => RefundState::Succeeded,
            PayPalRefundStatus::Failed => RefundState::Failed,
        },
        claim: refund.custom_id.filter(|text| text.starts_with(OUR_REFUND)),
        object: refund.id,
    }
}

/// PayPal may list the money of a lost dispute among the refunds, too, as a reversal. Such a row bears no mark: it is taken
/// for one where nobody here asked for it, the amount is the dispute's, and it is not older. Rows only ever come at the
/// end, so a pair stays a pair.
fn dispute_facts(mut disputes: Vec<PayPalDispute>, refunds: &[PayPalRefund]) -> Vec<DisputeFact> {
    let time = |text: &Option<String>| text.as_deref().and_then(|text| Timestamp::parse(text).ok());
    let is_reversal = |refund: &&PayPalRefund| {
        let is_ours = refund.custom_id.as_deref().is_some_and(|text| text.starts_with(OUR_REFUND));
        !is_ours && refund.status != PayPalRefundStatus::Failed
    };
    let mut rows: Vec<&PayPalRefund> = refunds.iter().filter(is_reversal).collect();
    rows.sort_by_key(|row| (time(&row.created), row.id.clone()));
    disputes.sort_by_key(|dispute| (time(&dispute.created), dispute.id.clone()));
    let fact = |dispute: PayPalDispute| {
        let (state, lost) = outcome(&dispute);
        let gone = dispute.refunded.as_ref().filter(|_| lost.is_some()).unwrap_or(&dispute.money);
        let is_it = |row: &&PayPalRefund| row.money == *gone && time(&row.created) >= time(&dispute.created);
        let row = rows.iter().position(is_it).filter(|_| state == DisputeState::Lost);
        if let Some(row) = row {
            let row = rows.remove(row);
            tracing::info!(dispute = dispute.id, reversal = row.id, "a lost dispute is also listed as a refund");
        }
        DisputeFact { money: money(&dispute.money), state, as_refund: row.is_some(), lost, object: dispute.id }
    };
    disputes.into_iter().map(fact).collect()
}

/// How a dispute stands, and what it took where that is not all of it. What PayPal says was given to the payer counts; one
/// that ended in nobody's favour takes no more than that.
fn outcome(dispute: &PayPalDispute) -> (DisputeState, Option<Amount>) {
    let given = dispute.refunded.as_ref().map(money);
    match (dispute.outcome, given) {
        (PayPalOutcome::Open, _) => (DisputeState::Open, None),
        (PayPalOutcome::Ours, _) | (PayPalOutcome::Nobodys, None) => (DisputeState::Won, None),
        (_, Some(Reported::Usd(amount))) if amount <= Amount::ZERO => (DisputeState::Won, None),
        (_, Some(Reported::Usd(amount))) => (DisputeState::Lost, Some(amount)),
        // In another currency it cannot be counted: the cautious reading.
        (_, Some(Reported::Foreign(_))) | (PayPalOutcome::Payers, None) => (DisputeState::Lost, None),
    }
}

fn money(money: &PayPalMoney) -> Reported {
    match parse_cents(&money.value) {
        Ok(amount) if money.currency == "USD" => Reported::Usd(amount),
        _ => Reported::Foreign(format!("{} {}", money.value, money.currency)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(value: &str) -> PayPalMoney {
        PayPalMoney { value: value.to_owned(), currency: "USD".to_owned() }
    }

    fn row(id: &str, value: &str, custom: &str, at: &str) -> PayPalRefund {
        PayPalRefund {
            id: id.to_owned(),
            status: PayPalRefundStatus::Completed,
            money: usd(value),
            custom_id: Some(custom.to_owned()),
            created: Some(at.to_owned()),
        }
    }

    fn dispute(id: &str, value: &str, outcome: PayPalOutcome) -> PayPalDispute {
        let created = Some("2026-11-10T00:00:00Z".to_owned());
        PayPalDispute { id: id.to_owned(), money: usd(value), refunded: None, outcome, created }
    }

    #[test]
    fn a_dispute_takes_what_the_payer_was_given_and_one_that_is_nobodys_takes_nothing_by_itself() {
        let steps = |cents: i64| Amount::from_steps(cents * 10_000);
        for (outcome, refunded, state, lost) in [
            (PayPalOutcome::Payers, None, DisputeState::Lost, None),
            (PayPalOutcome::Payers, Some("2.00"), DisputeState::Lost, Some(steps(200))),
            (PayPalOutcome::Payers, Some("0.00"), DisputeState::Won, None),
            (PayPalOutcome::Nobodys, None, DisputeState::Won, None),
            (PayPalOutcome::Nobodys, Some("2.00"), DisputeState::Lost, Some(steps(200))),
            (PayPalOutcome::Ours, Some("2.00"), DisputeState::Won, None),
            (PayPalOutcome::Open, None, DisputeState::Open, None),
        ] {
            let dispute = PayPalDispute { refunded: refunded.map(usd), ..dispute("PP-1", "5.00", outcome) };
            let facts = dispute_facts(vec![dispute], &[]);
            assert_eq!((facts[0].state, facts[0].lost), (state, lost), "{outcome:?} {refunded:?}");
        }
        // The row of a part is a part.
        let part = PayPalDispute { refunded: Some(usd("2.00")), ..dispute("PP-1", "5.00", PayPalOutcome::Payers) };
        for (value, is_pair) in [("2.00", true), ("5.00", false)] {
            let row = row("R1", value, "pay_1:usr_1", "2026-11-11T00:00:00Z");
            assert_eq!(dispute_facts(vec![part.clone()], &[row])[0].as_refund, is_pair, "{value}");
        }
    }

    #[test]
    fn only_dollars_with_two_decimals_are_dollars() {
        assert_eq!(money(&usd("5.00")), Reported::Usd(Amount::from_steps(5_000_000)));
        for (value, currency) in [("5.00", "EUR"), ("5.001", "USD"), ("1e3", "USD"), ("", "USD")] {
            let foreign = money(&PayPalMoney { value: value.to_owned(), currency: currency.to_owned() });
            assert!(matches!(foreign, Reported::Foreign(_)), "{value} {currency}");
        }
    }

    #[test]
    fn a_reversal_is_told_from_our_refunds_and_from_older_ones() {
        let lost = || vec![dispute("PP-1", "5.00", PayPalOutcome::Payers)];
        let is_pair = |row: PayPalRefund, disputes: Vec<PayPalDispute>| dispute_facts(disputes, &[row])[0].as_refund;
        assert!(is_pair(row("R1", "5.00", "pay_1:usr_1", "2026-11-10T00:00:00Z"), lost()));
        assert!(!is_pair(row("R1", "5.00", "rfd_1", "2026-11-11T00:00:00Z"), lost()));
        assert!(!is_pair(row("R1", "4.00", "pay_1:usr_1", "2026-11-11T00:00:00Z"), lost()));
        assert!(!is_pair(row("R1", "5.00", "pay_1:usr_1", "2026-11-09T00:00:00Z"), lost()));
        for outcome in [PayPalOutcome::Open, PayPalOutcome::Ours] {
            let row = row("R1", "5.00", "pay_1:usr_1", "2026-11-11T00:00:00Z");
            assert!(!is_pair(row, vec![dispute("PP-1", "5.00", outcome)]), "{outcome:?}");
        }
        let two = vec![dispute("PP-1", "5.00", PayPalOutcome::Payers), dispute("PP-2", "5.00", PayPalOutcome::Payers)];
        let facts = dispute_facts(two, &[row("R1", "5.00", "pay_1:usr_1", "2026-11-11T00:00:00Z")]);
        assert_eq!([facts[0].as_refund, facts[1].as_refund], [true, false], "one row, one dispute");
    }

    #[test]
    fn what_is_written_on_an_order_is_read_back() {
        let (payment, customer) = (domain::Id::new("pay_1").unwrap(), domain::Id::new("usr_1").unwrap());
        let claims = read_custom_id(Some(&custom_id(&payment, &customer)));
        assert_eq!(claims, Claims { payment: Some("pay_1".into()), customer: Some("usr_1".into()) });
        assert_eq!(read_custom_id(Some("pay_1")), Claims::default());
        assert_eq!(read_custom_id(None), Claims::default());
    }
}
