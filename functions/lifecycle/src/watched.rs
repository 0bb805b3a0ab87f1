//! Balances that are looked at one by one: those of customers with thresholds of their own, with automatic top-up, or with
//! more than one lane.

use crate::Lifecycle;
use crate::notice::{Notice, is_there};
use cashier::{TopUpEnd, TopUpRequest, ToppedUp};
use domain::Amount;
use domain::account::Status;
use domain::alerts::{TopUp, crossed};
use domain::money::Unit;
use futures::{StreamExt, stream};
use store::{Look, OutboxMail, StoreError, Watched};

/// Balances of one run; the next goes on where it stopped.
const BALANCES_PER_RUN: usize = 1_000;
/// Balances that are looked at the same time.
const AT_ONCE: usize = 8;

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Looked at.
    pub looked: usize,
    /// Mails that tell of them.
    pub mails: usize,
    /// Top-ups that were begun.
    pub top_ups: usize,
    /// To be looked at again.
    pub failed: usize,
}

/// What one look led to.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    mailed: bool,
    topped_up: bool,
    failed: bool,
}

impl Lifecycle {
    /// # Errors
    /// The list cannot be read. What fails for one balance does not stop the others.
    pub async fn balances(&self) -> Result<Balances, StoreError> {
        let mut all = Balances::default();
        let mut start = self.store.watch_mark().await?;
        let was_marked = start.is_some();
        let mut last = None;
        while all.looked < BALANCES_PER_RUN {
            let (watched, next) = self.store.watch_list(start).await?;
            let room = BALANCES_PER_RUN - all.looked;
            let is_cut = watched.len() > room;
            let part: Vec<Watched> = watched.into_iter().take(room).collect();
            last = part.last().cloned().or(last);
            self.look_at(part, &mut all).await;
            start = next;
            if start.is_none() && !is_cut {
                last = None;
                break;
            }
        }
        if was_marked || last.is_some() {
            self.store.watch_mark_set(last.as_ref()).await?;
        }
        Ok(all)
    }

    async fn look_at(&self, watched: Vec<Watched>, all: &mut Balances) {
        let looks = stream::iter(watched).map(|watched| async move {
            let done = self.look(&watched).await;
            (watched.customer, done)
        });
        let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
        while let Some((customer, done)) = looks.next().await {
            all.looked += 1;
            match done {
                Ok(Done { mailed, topped_up, failed }) => {
                    all.mails += usize::from(mailed);
                    all.top_ups += usize::from(topped_up);
                    all.failed += usize::from(failed);
                }
                Err(error) => {
                    tracing::error!(customer = %customer, error = %error, "a watched balance was not dealt with");
                    all.failed += 1;
                }
            }
        }
    }

    /// One look. A top-up is recorded first, under a name of its own, which changes only when it was; then, in one transaction,
    /// the mail and that it was looked at. So whoever is gone in between does the same again, to no effect. A top-up that
    /// fails is tried again by the next look, and keeps no mail from being written.
    async fn look(&self, watched: &Watched) -> Result<Done, StoreError> {
        let (customer, unit) = (&watched.customer, watched.unit);
        let settings = match unit {
            Unit::Usd => self.store.top_up(customer).await?,
            Unit::Token => TopUp::default(),
        };
        // Before the balance is read: what it led to is part of that.
        let known = self.with_unnoted(watched, &settings).await?;
        let wallet = self.store.wallet_balance(customer, unit).await?;
        let (balance, is_used) = (wallet.amount, wallet.heads.iter().any(|(_, head)| head.is_some()));
        let today = self.clock.now().hour().day();
        let rose = known.seen.is_some_and(|seen| balance > seen) && self.was_captured(&known, &settings).await?;
        let is_due = is_due(&settings, &known, balance, rose, today);
        // A balance of nothing in a unit that was never used is no news.
        let is_news = watched.seen.map_or(is_used, |seen| seen != balance);
        if !is_due && !is_news && known == *watched {
            return Ok(Done::default());
        }
        let access = self.store.access_get(customer).await?;
        let is_active = access.as_ref().is_some_and(|access| access.status == Status::Active);
        let reader = is_used && is_there(access.as_ref());
        let mail = if reader { self.mail_of(watched, balance).await? } else { None };
        let top_up = match is_due {
            true if is_active => self.top_up(&known, &settings, today).await,
            // As soon as they may again.
            true => Tried::Later,
            false => Tried::Not,
        };
        let (top_ups, tried) = match &top_up {
            Tried::Not => (known.top_ups, known.tried.clone()),
            Tried::Recorded(tried) => (known.top_ups + 1, Some(tried.clone())),
            Tried::Later | Tried::Failed => (known.top_ups, None),
        };
        let look = Look { balance, top_ups, tried, mail };
        let is_ours = self.store.watch_settle(watched, &look, self.clock.now()).await?;
        let mailed = is_ours && look.mail.is_some();
        self.tell(look.mail.as_ref().filter(|_| mailed)).await;
        Ok(Done { mailed, topped_up: matches!(top_up, Tried::Recorded(_)), failed: matches!(top_up, Tried::Failed) })
    }

    /// What is known, with the top-up that was made when nobody could note it any more. Had its money been captured, it is part
    /// of the balance, and one that is low has fallen again. Had it failed, it was the answer to this fall. Had the processor
    /// never heard of it, this fall still has none.
    async fn with_unnoted(&self, watched: &Watched, settings: &TopUp) -> Result<Watched, StoreError> {
        let mut known = watched.clone();
        if !settings.enabled {
            return Ok(known);
        }
        let Some(end) = self.cashier.topped_up(&watched.customer, &name_of(watched)).await? else { return Ok(known) };
        known.top_ups += 1;
        match end {
            TopUpEnd::Captured => known.tried = Some(fingerprint(settings)),
            TopUpEnd::Failed => {
                known.tried = Some(fingerprint(settings));
                known.seen = known.seen.map(|seen| seen.min(settings.threshold - Amount::from_steps(1)));
            }
            TopUpEnd::NeverSent => {}
        }
        Ok(known)
    }

    /// Whether the last top-up that has a name brought its money. Only then is a balance that rose one that was topped up with
    /// too little: of any other rise a card that was declined knows nothing.
    async fn was_captured(&self, watched: &Watched, settings: &TopUp) -> Result<bool, StoreError> {
        let Some(last) = watched.top_ups.checked_sub(1).filter(|_| settings.enabled) else { return Ok(false) };
        let end = self.cashier.topped_up(&watched.customer, &name(watched, last)).await?;
        Ok(end == Some(TopUpEnd::Captured))
    }

    /// The mail of a fall, if it crosses a threshold. One is enough, about the lowest.
    async fn mail_of(&self, watched: &Watched, balance: Amount) -> Result<Option<OutboxMail>, StoreError> {
        let Watched { customer, unit, seen, looks, .. } = watched;
        let alerts = self.store.alerts(customer).await?;
        let threshold = crossed(&alerts.thresholds, *seen, balance).into_iter().last().filter(|_| alerts.email);
        Ok(threshold.map(|threshold| {
            let id = format!("low-balance:{customer}#{}:{}:look-{looks}", unit.as_str(), threshold.steps());
            Notice { id, customer, unit: *unit, balance, threshold }.mail()
        }))
    }

    /// Tries a top-up; the cashier charges once for its name.
    async fn top_up(&self, watched: &Watched, settings: &TopUp, today: u32) -> Tried {
        let customer = &watched.customer;
        let Some(method) = settings.payment_method.clone() else { return Tried::Recorded(fingerprint(settings)) };
        let request = TopUpRequest {
            customer: customer.clone(),
            event: name_of(watched),
            amount: settings.amount,
            method,
            daily_limit: settings.daily_limit,
        };
        match self.cashier.top_up(&request).await {
            Ok(ToppedUp::Payment(_)) => Tried::Recorded(fingerprint(settings)),
            Ok(ToppedUp::NoMethod) => {
                tracing::warn!(customer = %customer, "a top-up has no method to charge");
                Tried::Recorded(fingerprint(settings))
            }
            Ok(ToppedUp::LimitReached) => Tried::Recorded(until_tomorrow(settings, today)),
            Err(error) => {
                tracing::error!(customer = %customer, error = %error, "a top-up failed");
                Tried::Failed
            }
        }
    }
}

/// What came of a top-up.
enum Tried {
    /// There was no reason for one.
    Not,
    /// Its customer may not have one now.
    Later,
    /// It stands in the books, or will never: these settings are done with.
    Recorded(String),
    /// Nobody knows: the same again.
    Failed,
}

/// Whether to top up now. Not as long as the balance is low, or a card that is declined would be charged for ever: but when it
/// falls below the threshold, when its last top-up raised it and it is still below (it was too small), and when the settings were
/// changed since the last try (another card, or switched on only now), or the day after its limit was reached.
fn is_due(settings: &TopUp, watched: &Watched, balance: Amount, rose: bool, today: u32) -> bool {
    let fell = watched.seen.is_none_or(|seen| seen >= settings.threshold);
    let done = [fingerprint(settings), until_tomorrow(settings, today)];
    let changed = !watched.tried.as_ref().is_some_and(|tried| done.contains(tried));
    settings.enabled && balance < settings.threshold && (fell || rose || changed)
}

/// Names the next top-up. It changes only when one was noted.
fn name_of(watched: &Watched) -> String {
    name(watched, watched.top_ups)
}

fn name<N: std::fmt::Display>(watched: &Watched, number: N) -> String {
    format!("{}#{}:top-up-{number}", watched.customer, watched.unit.as_str())
}

/// Names settings; the same settings have the same one.
fn fingerprint(settings: &TopUp) -> String {
    let TopUp { enabled: _, threshold, amount, payment_method, daily_limit } = settings;
    let method = payment_method.as_deref().unwrap_or("none");
    format!("{}/{}/{}/{method}", threshold.steps(), amount.steps(), daily_limit.steps())
}

/// The same, where the day's limit was reached.
fn until_tomorrow(settings: &TopUp, today: u32) -> String {
    format!("{}@{today}", fingerprint(settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Id;

    #[test]
    fn a_top_up_is_tried_once_per_fall_rise_or_change_and_not_for_ever() {
        let steps = Amount::from_steps;
        let settings =
            TopUp { enabled: true, threshold: steps(5), payment_method: Some("pm_1".to_owned()), ..TopUp::default() };
        let watched = |seen: Option<i64>, tried: bool| Watched {
            customer: Id::new("usr_1").unwrap(),
            unit: Unit::Usd,
            seen: seen.map(steps),
            looks: 1,
            top_ups: 1,
            tried: tried.then(|| fingerprint(&settings)),
        };
        for (seen, tried, balance, rose, due) in [
            (Some(5), true, 4, false, true),
            (None, false, 4, false, true),
            (Some(5), true, 5, false, false),
            (Some(4), true, 3, false, false),
            (Some(3), true, 3, false, false),
            (Some(2), true, 3, true, true),
            (Some(2), true, 3, false, false),
            (Some(3), false, 3, false, true),
            (Some(9), false, 6, false, false),
        ] {
            let is_due = is_due(&settings, &watched(seen, tried), steps(balance), rose, 7);
            assert_eq!(is_due, due, "{seen:?} {tried} {balance}");
        }
        let off = TopUp { enabled: false, ..settings.clone() };
        assert!(!is_due(&off, &watched(Some(5), true), steps(4), false, 7));
        let other = TopUp { payment_method: Some("pm_2".to_owned()), ..settings.clone() };
        assert!(is_due(&other, &watched(Some(4), true), steps(3), false, 7));
        let limited = Watched { tried: Some(until_tomorrow(&settings, 7)), ..watched(Some(3), true) };
        let is_due = |today| is_due(&settings, &limited, steps(3), false, today);
        assert!(!is_due(7) && is_due(8));
    }
}
