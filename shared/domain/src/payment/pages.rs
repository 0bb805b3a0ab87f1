//! The pages of the ledger that a processor's words stand for: each part of them is one page under one key, whatever was seen
//! before.

use super::settle::{Mismatch, Posting};
use super::{
    Capture, DisputeFact, DisputeState, Facts, Payment, Processor, RefundFact, RefundState, Reported, shorten,
};
use crate::money::{Amount, Unit};
use crate::wallet::{Entry, Kind};

/// Events that move money; the others undo them.
const CAPTURED: &str = "captured";
const CREATED: &str = "created";
const REFUNDED: &str = "refunded";

/// What a processor says, each part with its dollars.
pub(super) struct Counted<'a> {
    pub captures: Vec<(&'a Capture, Amount)>,
    pub refunds: Vec<(&'a RefundFact, Amount)>,
    pub disputes: Vec<(&'a DisputeFact, Amount)>,
}

impl<'a> Counted<'a> {
    /// A capture that cannot be counted spoils the whole; of the rest, what cannot is parked. Where an amount is another one
    /// than was posted, the ledger's counts, and an operator is told.
    pub fn read(facts: &'a Facts, payment: &Payment, parked: &mut Vec<Mismatch>) -> Result<Self, Mismatch> {
        let captures = facts.captures.iter().map(|capture| usd(&capture.object, &capture.money).map(|a| (capture, a)));
        let mut counted = Self {
            captures: captures.collect::<Result<_, _>>()?,
            refunds: countable(&facts.refunds, |fact| (&fact.object, &fact.money), parked),
            disputes: countable(&facts.disputes, |fact| (&fact.object, &fact.money), parked),
        };
        let mut settle = |object: &str, event: &str, sign: fn(Amount) -> Amount, amount: &mut Amount| {
            let Some(posted) = payment.posted_amount(object, event).map(sign) else { return };
            if posted != *amount {
                parked.push(changed(object, event, *amount, posted));
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
    pub fn postings(&self, payment: &Payment, parked: &mut Vec<Mismatch>) -> Vec<Posting> {
        let mut postings = Vec::new();
        let mut post = |object: &str, event: &str, kind: Kind, amount: Amount, what: &str| {
            let key = page_key(payment.processor, object, event);
            match payment.posted.iter().find(|page| page.key == key) {
                None => postings.push(payment.posting(key, kind, amount, what)),
                Some(page) => match page.amount {
                    Some(posted) if posted != amount => parked.push(changed(object, event, amount, posted)),
                    _ => {}
                },
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

impl Payment {
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
}

fn page_key(processor: Processor, object: &str, event: &str) -> String {
    format!("{processor}:{object}:{event}")
}

/// It names the amounts: an operator who dealt with one is told of the next.
fn changed(object: &str, event: &str, amount: Amount, posted: Amount) -> Mismatch {
    let [amount, posted] = [amount, posted].map(|amount| amount.display(Unit::Usd));
    let reason = format!("its amount is another one than was posted ({event}): {amount} USD, not {posted}");
    Mismatch { object: object.to_owned(), reason }
}

fn usd(object: &str, money: &Reported) -> Result<Amount, Mismatch> {
    let fail = |reason: String| Err(Mismatch { object: object.to_owned(), reason });
    match money {
        Reported::Usd(amount) if *amount > Amount::ZERO => Ok(*amount),
        Reported::Usd(amount) => fail(format!("an amount is not more than zero: {} USD", amount.display(Unit::Usd))),
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
