//! From what a processor says to pages of the ledger.
//!
//! A processor's account of a payment (captures, refunds, disputes) is read as a whole each time. Each part of it stands for
//! one page with one key, whatever was seen before: a refund that failed is a page and its undoing, also where nobody saw it
//! pending. So any order, repetition or loss of events ends with the same pages, and two readers at once do no harm.

use super::pages::Counted;
use super::posted::object_of;
use super::{
    DisputeState, Facts, Payment, PostedPage, Processor, Purpose, Refund, RefundFact, RefundState, RefundStatus, State,
    Status, shorten,
};
use crate::money::{Amount, Unit};
use crate::time::Timestamp;
use crate::wallet::Entry;

/// A page to be posted once under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The idempotency key.
    pub key: String,
    /// What is posted.
    pub entry: Entry,
}

impl Posting {
    /// The processor's object it stands for.
    #[must_use]
    pub fn object(&self) -> &str {
        object_of(&self.key)
    }
}

/// What cannot be matched: for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The processor's object.
    pub object: String,
    /// What does not fit.
    pub reason: String,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absorbed {
    /// Pages to post, in order; those that were posted before are left out.
    pub postings: Vec<Posting>,
    /// The record, once they are posted.
    pub payment: Payment,
    /// What could not be matched, beside what could.
    pub parked: Vec<Mismatch>,
}

impl Payment {
    /// What follows from what the processor says.
    ///
    /// # Errors
    /// [`Mismatch`] where it is not this payment's money, or not money we can count: nothing may be posted then.
    pub fn absorb(&self, facts: &Facts, now: Timestamp) -> Result<Absorbed, Mismatch> {
        self.check(facts)?;
        let mut parked = Vec::new();
        let counted = Counted::read(facts, self, &mut parked)?;
        let postings = counted.postings(self, &mut parked);
        let sum = |amounts: &mut dyn Iterator<Item = Amount>| amounts.sum::<Amount>();
        let Counted { captures, refunds, disputes } = counted;
        let mut next = self.clone();
        next.object = Some(facts.object.clone());
        next.captured = sum(&mut captures.iter().map(|(_, amount)| *amount));
        next.refunded = sum(&mut refunds.iter().filter(|(f, _)| f.state != RefundState::Failed).map(|(_, a)| *a));
        if !facts.disputes_unread {
            next.disputed = sum(&mut disputes.iter().map(|(fact, amount)| fact.took(*amount)));
        }
        next.capture = captures.first().map(|(c, _)| c.object.clone()).or(next.capture);
        for (fact, amount) in &refunds {
            next.hear_refund(fact, *amount, now);
        }
        let page = |posting: &Posting| PostedPage { key: posting.key.clone(), amount: Some(posting.entry.amount) };
        next.posted.extend(postings.iter().map(page));
        let is_disputed = match facts.disputes_unread {
            true => self.status == Status::Disputed,
            false => disputes.iter().any(|(fact, _)| fact.state != DisputeState::Won),
        };
        next.stand(facts, is_disputed);
        // What a lost dispute is also listed as is only known with the disputes.
        if !facts.disputes_unread && next.refunded + next.disputed > next.captured {
            let [refunded, disputed, captured] =
                [next.refunded, next.disputed, next.captured].map(|amount| amount.display(Unit::Usd));
            let reason = format!(
                "refunds and disputes took more than was captured: {refunded} and {disputed} of {captured} USD"
            );
            parked.push(Mismatch { object: facts.object.clone(), reason });
        }
        let payment = if next == *self && self.due.is_some_and(|due| due > now) { next } else { next.looked_at(now) };
        Ok(Absorbed { postings, payment, parked })
    }

    /// Whether the object is this payment's, and its money can be counted.
    fn check(&self, facts: &Facts) -> Result<(), Mismatch> {
        let fail = |reason: &str| Err(Mismatch { object: facts.object.clone(), reason: reason.to_owned() });
        if self.object.as_ref().is_some_and(|object| *object != facts.object) {
            return fail("the object is not the payment's");
        }
        if facts.claims.payment.as_deref() != Some(self.id.as_str()) {
            return fail("the object names another payment, or none");
        }
        if facts.claims.customer.as_deref() != Some(self.customer.as_str()) {
            return fail("the object names another customer, or none");
        }
        let took = !facts.refunds.is_empty() || !facts.disputes.is_empty();
        if facts.captures.is_empty() && (took || facts.state == State::Captured) {
            return fail("it is said to be captured, but no captured amount is given");
        }
        Ok(())
    }

    /// The processor lists a refund: ours, or one that was made there.
    fn hear_refund(&mut self, fact: &RefundFact, amount: Amount, now: Timestamp) {
        let status = match fact.state {
            RefundState::Pending => RefundStatus::Pending,
            RefundState::Succeeded => RefundStatus::Succeeded,
            RefundState::Failed => RefundStatus::Failed,
        };
        let is_it = |refund: &Refund| match &refund.object {
            Some(object) => *object == fact.object,
            None => fact.claim.as_ref() == Some(&refund.id),
        };
        if let Some(refund) = self.refunds.iter_mut().find(|refund| is_it(refund)) {
            (refund.status, refund.amount, refund.object) = (status, amount, Some(fact.object.clone()));
            return;
        }
        self.refunds.push(Refund {
            id: fact.object.clone(),
            amount,
            rest: false,
            reason: None,
            by: None,
            at: now,
            status,
            object: Some(fact.object.clone()),
        });
    }

    /// Status, and what goes with it.
    fn stand(&mut self, facts: &Facts, is_disputed: bool) {
        self.failure = facts.failure.as_deref().filter(|_| self.captured == Amount::ZERO).map(shorten);
        self.open = !matches!(facts.state, State::Captured | State::Canceled);
        if self.captured > Amount::ZERO {
            self.status = if is_disputed {
                Status::Disputed
            } else if self.refunded >= self.captured {
                Status::Refunded
            } else if self.refunded > Amount::ZERO {
                Status::PartiallyRefunded
            } else {
                Status::Succeeded
            };
            let differs = self.captured != self.amount;
            self.note = differs.then(|| "another amount was captured than was asked for".to_owned());
            return;
        }
        self.status = match facts.state {
            State::Waiting | State::Processing | State::Captured => Status::Pending,
            State::ActionRequired => Status::RequiresAction,
            State::Declined => Status::Failed,
            State::Canceled if self.failure.is_some() => Status::Failed,
            State::Canceled => Status::Canceled,
        };
    }

    /// Whether it should be given up at the processor: nobody finished it in a day, or nobody can (a top-up that was declined
    /// has no customer in front of it).
    #[must_use]
    pub fn is_abandoned(&self, facts: &Facts, now: Timestamp) -> bool {
        let declined = facts.state == State::Declined && self.purpose == Purpose::TopUp;
        let waits = matches!(facts.state, State::Waiting | State::ActionRequired | State::Declined);
        facts.captures.is_empty() && (declined || (waits && self.age_secs(now) >= super::ABANDONED_SECS))
    }

    /// Whether what a refund names is the capture, not the object itself.
    #[must_use]
    pub fn refund_target(&self) -> Option<&str> {
        match self.processor {
            Processor::Stripe => self.object.as_deref(),
            Processor::Paypal => self.capture.as_deref(),
        }
    }
}
