//! From what a processor says to pages of the ledger.
//!
//! A processor's account of a payment (captures, refunds, disputes) is read as a whole each time. Each part of it stands for
//! one page with one key, whatever was seen before: a refund that failed is a page and its undoing, also where nobody saw it
//! pending. So any order, repetition or loss of events ends with the same pages, and two readers at once do no harm.

use super::posted::object_of;
use super::{Payment, PostedPage, Processor, Purpose, Refund, RefundStatus, Status, shorten};
use crate::money::Amount;
use crate::time::Timestamp;
use crate::wallet::{Entry, Kind};

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

/// What a processor says, each part with its dollars.
struct Counted<'a> {
    captures: Vec<(&'a Capture, Amount)>,
    refunds: Vec<(&'a RefundFact, Amount)>,
    disputes: Vec<(&'a DisputeFact, Amount)>,
}

impl<'a> Counted<'a> {
    /// A capture that cannot be counted spoils the whole; of the rest, what cannot is parked. Where an amount is another one
    /// than was posted, the ledger's counts, and an operator is told.
    fn read(facts: &'a Facts, payment: &Payment, parked: &mut Vec<Mismatch>) -> Result<Self, Mismatch> {
        let captures = facts.captures.iter().map(|capture| usd(&capture.object, &capture.money).map(|a| (capture, a)));
        let mut counted = Self {
            captures: captures.collect::<Result<_, _>>()?,
            refunds: countable(&facts.refunds, |fact| (&fact.object, &fact.money), parked),
            disputes: countable(&facts.disputes, |fact| (&fact.object, &fact.money), parked),
        };
        let mut settle = |object: &str, event: &str, sign: fn(Amount) -> Amount, amount: &mut Amount| {
            let Some(posted) = payment.posted_amount(object, event).map(sign) else { return };
            if posted != *amount {
                parked.push(changed(object, event));
                *amount = posted;
            }
        };
        for (capture, amount) in &mut counted.captures {
            settle(&capture.object, CAPTURED, |amount| amount, amount);
        }
        for (fact, amount) in &mut counted.disputes {
            settle(&fact.object, CREATED, |amount| -amount, amount);
        }
        for (fact, amount) in &mut counted.refunds {
            settle(&fact.object, REFUNDED, |amount| -amount, amount);
        }
        Ok(counted)
    }

    /// The pages all this stands for, in order, but for those that are posted.
    fn postings(&self, payment: &Payment, parked: &mut Vec<Mismatch>) -> Vec<Posting> {
        let mut postings = Vec::new();
        let mut post = |object: &str, event: &str, kind: Kind, amount: Amount, what: &str| {
            let key = page_key(payment.processor, object, event);
            match payment.posted.iter().find(|page| page.key == key) {
                None => postings.push(payment.posting(key, kind, amount, what)),
                Some(page) if page.amount.is_some_and(|posted| posted != amount) => parked.push(changed(object, event)),
                Some(_) => {}
            }
        };
        for (capture, amount) in &self.captures {
            post(&capture.object, CAPTURED, Kind::Payment, *amount, "credits bought");
        }
        for (fact, amount) in &self.disputes {
            post(&fact.object, CREATED, Kind::Reversal, -*amount, "dispute");
            let taken = fact.taken_of(*amount);
            if fact.state == DisputeState::Lost && taken < *amount {
                let what = "the dispute was lost for less";
                post(&fact.object, "spared", Kind::Reversal, *amount - taken, what);
            }
            match fact.state {
                DisputeState::Won => post(&fact.object, "won", Kind::Reversal, *amount, "the dispute was won"),
                DisputeState::Lost if fact.as_refund => {
                    let what = "the dispute's money is listed as a refund";
                    post(&fact.object, "reversed", Kind::Reversal, taken, what);
                }
                DisputeState::Open | DisputeState::Lost => {}
            }
        }
        for (fact, amount) in &self.refunds {
            post(&fact.object, REFUNDED, Kind::Refund, -*amount, "refund");
            if fact.state == RefundState::Failed {
                post(&fact.object, "refund_failed", Kind::Refund, *amount, "the refund came back");
            }
        }
        postings
    }
}

/// Events that move money; the others undo them.
const CAPTURED: &str = "captured";
const CREATED: &str = "created";
const REFUNDED: &str = "refunded";

fn page_key(processor: Processor, object: &str, event: &str) -> String {
    format!("{processor}:{object}:{event}")
}

fn changed(object: &str, event: &str) -> Mismatch {
    let reason = format!("its amount is another one than was posted ({event})");
    Mismatch { object: object.to_owned(), reason }
}

impl DisputeFact {
    /// What it took, where that is not all of it.
    fn taken_of(&self, amount: Amount) -> Amount {
        self.lost.map_or(amount, |lost| lost.max(Amount::ZERO).min(amount))
    }

    /// What is gone of its amount, and not as a refund.
    fn took(&self, amount: Amount) -> Amount {
        match self.state {
            DisputeState::Open => amount,
            DisputeState::Lost if !self.as_refund => self.taken_of(amount),
            DisputeState::Lost | DisputeState::Won => Amount::ZERO,
        }
    }
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
            let reason = "refunds and disputes took more than was captured".to_owned();
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

    /// What was posted for an event of an object, where the record says so.
    fn posted_amount(&self, object: &str, event: &str) -> Option<Amount> {
        let key = page_key(self.processor, object, event);
        self.posted.iter().find(|page| page.key == key).and_then(|page| page.amount)
    }

    fn posting(&self, key: String, kind: Kind, amount: Amount, what: &str) -> Posting {
        Posting {
            entry: Entry {
                kind,
                amount,
                actor: Some(self.processor.to_string()),
                reason: Some(format!("{what}, {}", self.id)),
                reference: Some(key.clone()),
            },
            key,
        }
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

fn usd(object: &str, money: &Reported) -> Result<Amount, Mismatch> {
    let fail = |reason: String| Err(Mismatch { object: object.to_owned(), reason });
    match money {
        Reported::Usd(amount) if *amount > Amount::ZERO => Ok(*amount),
        Reported::Usd(_) => fail("an amount is not more than zero".to_owned()),
        Reported::Foreign(words) => fail(format!("the currency is not USD: {}", shorten(words))),
    }
}

/// Those in USD with their amounts; the others are parked.
fn countable<'a, T>(
    facts: &'a [T],
    parts: impl Fn(&T) -> (&String, &Reported),
    parked: &mut Vec<Mismatch>,
) -> Vec<(&'a T, Amount)> {
    let mut counted = Vec::with_capacity(facts.len());
    for fact in facts {
        let (object, money) = parts(fact);
        match usd(object, money) {
            Ok(amount) => counted.push((fact, amount)),
            Err(mismatch) => parked.push(mismatch),
        }
    }
    counted
}
