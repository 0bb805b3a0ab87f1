//! The one path on which money reaches a wallet.
//!
//! Our record is read first, then the processor, so that what is saved over that record is never older than it. Then the
//! pages, each once under its key; then the record, if nobody else saved one meanwhile, else all over again. A crash
//! anywhere in between is replayed by whoever comes next.

use crate::{Cashier, CashierError};
use domain::mail::Template;
use domain::payment::{
    Absorbed, Decline, Facts, Mismatch, Payment, PostedPage, Posting, Processor, Purpose, Status, to_decimal,
};
use domain::{Amount, Id, Timestamp, Unit};
use store::{OutboxMail, Revised, StoreError, Unmatched};

/// Rounds against others that settle the same payment.
const MAX_ROUNDS: usize = 16;

/// A look at a part that could not be read comes after so many seconds.
const UNREAD_SECS: i64 = 900;

/// What a processor says of a payment.
pub(crate) struct Said {
    pub facts: Facts,
    /// Why a part could not be read: the rest counts, and somebody must come again.
    pub unread: Option<CashierError>,
}

/// Why a payment is settled now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reason<'a> {
    /// The object that somebody told of: a payment whose own is not known yet may turn out to have it.
    pub object: Option<&'a str>,
    /// The event that told of it.
    pub event: Option<&'a str>,
    /// What was asked of the processor long ago, without an answer, is asked again.
    pub is_sweep: bool,
}

impl Cashier {
    /// Asks the processor about a payment and does what follows. Any number of callers may do so at the same time.
    ///
    /// # Errors
    /// The store's or the processor's: call again. [`CashierError::NotFound`].
    pub async fn settle(&self, id: &Id) -> Result<Payment, CashierError> {
        self.settle_for(id, Reason::default()).await
    }

    pub(crate) async fn settle_for(&self, id: &Id, why: Reason<'_>) -> Result<Payment, CashierError> {
        for _ in 0..MAX_ROUNDS {
            let held = self.held(id).await?;
            if let Some(payment) = self.settle_once(held, why).await? {
                return Ok(payment);
            }
        }
        Err(StoreError::Conflict("settle").into())
    }

    /// One round; nothing where somebody else was faster.
    async fn settle_once(&self, held: Revised, why: Reason<'_>) -> Result<Option<Payment>, CashierError> {
        let Some((held, object)) = self.object_of(held, why).await? else { return Ok(None) };
        let Some(object) = object else { return Ok(Some(held.0)) };
        let Some(Said { mut facts, unread }) = self.facts(&held.0, &object).await? else {
            return self.unknown_object(held, &object, why).await.map(Some);
        };
        let now = self.clock.now();
        // Only what is known to be this payment's is ever given up.
        if held.0.object.is_some() && held.0.is_abandoned(&facts, now) {
            match self.give_up(&held.0, facts).await? {
                Some(closed) => facts = closed,
                None => return Ok(None),
            }
        }
        if why.is_sweep && self.resend_refunds(&held, &facts, now).await? {
            return Ok(None);
        }
        let mut absorbed = match held.0.absorb(&facts, now) {
            Ok(absorbed) => absorbed,
            Err(mismatch) => return self.mismatch(held, &object, mismatch, why).await.map(Some),
        };
        self.post_all(&held.0, &mut absorbed, why, now).await?;
        for mismatch in absorbed.parked {
            self.park(&held.0, mismatch, why).await?;
        }
        let mut next = absorbed.payment;
        if unread.is_some() {
            let soon = now.plus_secs(UNREAD_SECS);
            next.due = Some(next.due.map_or(soon, |due| due.min(soon)));
        }
        // Disputes are not asked for before a capture is on record. Whoever was told of something may have been told of one.
        let is_told = why.event.is_some() || why.is_sweep;
        let is_first = held.0.capture.is_none() && next.capture.is_some() && next.processor == Processor::Paypal;
        let recorded = self.record(held, next, now).await?;
        match unread {
            Some(error) if recorded.is_some() => Err(error),
            _ => Ok(recorded.filter(|_| !(is_told && is_first))),
        }
    }

    /// Posts what follows, in order. Where a page of an object cannot be posted, what comes after it of the same object would
    /// undo another amount than was taken: that waits for an operator, too.
    async fn post_all(
        &self,
        payment: &Payment,
        absorbed: &mut Absorbed,
        why: Reason<'_>,
        now: Timestamp,
    ) -> Result<(), CashierError> {
        let mut stopped: Vec<String> = Vec::new();
        for posting in std::mem::take(&mut absorbed.postings) {
            let object = posting.object().to_owned();
            if !stopped.contains(&object) && !self.post(payment, posting, why, now).await? {
                stopped.push(object);
            }
        }
        let is_old = |page: &PostedPage| payment.posted.iter().any(|old| old.key == page.key);
        absorbed.payment.posted.retain(|page| is_old(page) || !stopped.iter().any(|object| object == page.object()));
        Ok(())
    }

    /// The payment with its object, sent if the processor may not know of it. `None` where it must be read again; an object of
    /// `None` where the payment came to nothing without one.
    async fn object_of(
        &self,
        held: Revised,
        why: Reason<'_>,
    ) -> Result<Option<(Revised, Option<String>)>, CashierError> {
        match (held.0.object.clone(), why.object) {
            (Some(own), Some(told)) if own != told => {
                let reason = "it names this payment, but is not the payment's object".to_owned();
                self.park(&held.0, Mismatch { object: told.to_owned(), reason }, why).await?;
                Ok(Some((held, Some(own))))
            }
            (Some(own), _) => Ok(Some((held, Some(own)))),
            // Whether it is the payment's, what we wrote on it tells.
            (None, Some(told)) => Ok(Some((held, Some(told.to_owned())))),
            (None, None) => {
                let sent = self.send(held).await;
                match sent {
                    Ok((held, _)) if held.0.object.is_some() => Ok(None),
                    Ok((held, _)) => Ok(Some((held, None))),
                    // It has failed, and the record says so.
                    Err(CashierError::Refused(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    async fn facts(&self, payment: &Payment, object: &str) -> Result<Option<Said>, CashierError> {
        match payment.processor {
            Processor::Stripe => self.stripe_facts(payment, object).await,
            Processor::Paypal => self.paypal_facts(payment, object).await,
        }
    }

    /// The processor knows no such object.
    async fn unknown_object(&self, held: Revised, object: &str, why: Reason<'_>) -> Result<Payment, CashierError> {
        let now = self.clock.now();
        let is_own = held.0.object.as_deref() == Some(object);
        if is_own && held.0.processor == Processor::Paypal {
            let absorbed = match Self::forgotten_order(&held.0, object) {
                Some(facts) => held.0.absorb(&facts, now),
                None => {
                    let reason = "the processor no longer knows the order that was captured".to_owned();
                    Err(Mismatch { object: object.to_owned(), reason })
                }
            };
            let next = match absorbed {
                Ok(absorbed) => absorbed.payment,
                Err(mismatch) => return self.mismatch(held, object, mismatch, why).await,
            };
            return self.save(held, |_| next.clone(), now).await.map(|(payment, _)| payment);
        }
        let reason = "the processor knows no such object".to_owned();
        self.mismatch(held, object, Mismatch { object: object.to_owned(), reason }, why).await
    }

    /// Nothing is posted; an operator is told. The payment itself is only touched where the object is known to be its own.
    async fn mismatch(
        &self,
        held: Revised,
        object: &str,
        mismatch: Mismatch,
        why: Reason<'_>,
    ) -> Result<Payment, CashierError> {
        let now = self.clock.now();
        let next = held.0.clone().parked(&mismatch.reason, now);
        self.park(&held.0, mismatch, why).await?;
        if held.0.object.as_deref() != Some(object) {
            return Ok(held.0);
        }
        if next.note == held.0.note && held.0.due.is_none() {
            return Ok(held.0);
        }
        match self.store.payment_update(&held, &next, &[], now).await {
            Ok(_) => Ok(next),
            Err(StoreError::Conflict(_)) => Ok(self.held(&held.0.id).await?.0),
            Err(error) => Err(error.into()),
        }
    }

    /// Posts a page, once. A key that stands for another amount is for an operator, and keeps no other object up. Whether it
    /// is posted.
    async fn post(
        &self,
        payment: &Payment,
        posting: Posting,
        why: Reason<'_>,
        now: Timestamp,
    ) -> Result<bool, CashierError> {
        let Posting { key, entry } = posting;
        let amount = entry.amount.display(Unit::Usd);
        match self.store.wallet_post(&payment.wallet(), entry, &key, now).await {
            Ok(_) => Ok(true),
            Err(StoreError::KeyReused(key)) => {
                let object = key.split(':').nth(1).unwrap_or_default().to_owned();
                let reason =
                    format!("the page {key} was posted with another amount than {amount} USD, or to another wallet");
                self.park(payment, Mismatch { object, reason }, why).await.map(|()| false)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn park(
        &self,
        payment: &Payment,
        mismatch: Mismatch,
        why: Reason<'_>,
    ) -> Result<(), CashierError> {
        let Mismatch { object, reason } = mismatch;
        self.park_object(payment.processor, object, Some(payment.id.to_string()), why.event, reason).await
    }

    pub(crate) async fn park_object(
        &self,
        processor: Processor,
        object: String,
        payment: Option<String>,
        event: Option<&str>,
        reason: String,
    ) -> Result<(), CashierError> {
        tracing::error!(%processor, object, payment, event, reason, "parked for an operator");
        let event = event.map(str::to_owned);
        let unmatched = Unmatched { processor, object, payment, event, reasons: vec![reason], at: self.clock.now() };
        Ok(self.store.unmatched_put(&unmatched).await?)
    }

    /// Saves what is known now, with the mails that tell of it. Nothing where somebody else saved meanwhile.
    async fn record(&self, held: Revised, next: Payment, now: Timestamp) -> Result<Option<Payment>, CashierError> {
        if next == held.0 {
            return Ok(Some(next));
        }
        let mails: Vec<OutboxMail> =
            [receipt(&held.0, &next, now), top_up_failed(&held.0, &next)].into_iter().flatten().collect();
        match self.store.payment_update(&held, &next, &mails, now).await {
            Ok(_) => {
                self.tell(&mails).await;
                Ok(Some(next))
            }
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the processor that nobody will finish it, and what is said of it then. Nothing where it must be read again.
    async fn give_up(&self, payment: &Payment, facts: Facts) -> Result<Option<Facts>, CashierError> {
        match payment.processor {
            Processor::Stripe => {
                let stripe = self.stripe()?;
                stripe.cancel_intent(&facts.object).await.map_err(CashierError::of)?;
                Ok(self.stripe_facts(payment, &facts.object).await?.map(|said| said.facts))
            }
            // An order cannot be cancelled, and need not be: only we capture it, and from now on we do not.
            Processor::Paypal => Ok(Some(Facts { state: domain::payment::State::Canceled, ..facts })),
        }
    }
}

fn usd(amount: Amount) -> String {
    format!("{} USD", to_decimal(amount).unwrap_or_else(|| amount.display(Unit::Usd).to_string()))
}

fn receipt(old: &Payment, new: &Payment, now: Timestamp) -> Option<OutboxMail> {
    (old.captured == Amount::ZERO && new.captured > Amount::ZERO).then(|| {
        let method = match new.processor {
            Processor::Stripe => "Card",
            Processor::Paypal => "PayPal",
        };
        OutboxMail::to_user(format!("receipt:{}", new.id), &new.customer, Template::Receipt)
            .with("payment", new.id.as_str())
            .with("amount", usd(new.captured))
            .with("at", now.to_string())
            .with("method", method)
    })
}

/// A top-up that needs the customer: it is not tried again.
pub(crate) fn top_up_failed(old: &Payment, new: &Payment) -> Option<OutboxMail> {
    let needs_them = |payment: &Payment| matches!(payment.status, Status::RequiresAction | Status::Failed);
    (new.purpose == Purpose::TopUp && needs_them(new) && !needs_them(old)).then(|| {
        let reason = new.failure.as_deref().map_or(Decline::Confirmation, Decline::of);
        OutboxMail::to_user(format!("top-up-action:{}", new.id), &new.customer, Template::TopUpFailed)
            .with("payment", new.id.as_str())
            .with("amount", usd(new.amount))
            .with("reason", reason.words())
    })
}
