//! The faults that can be switched on, each by its own knob. All are off by default.

use rand::Rng as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// When a fault happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chance {
    /// Never.
    #[default]
    Off,
    /// In so many of a thousand cases, by the seed.
    Permille(u16),
    /// In the next so many cases, then off.
    Next(u32),
}

impl Chance {
    /// In every case.
    pub const ALWAYS: Self = Self::Permille(1_000);

    /// Whether it happens now. Counts down.
    pub(crate) fn strikes(&mut self, dice: &mut StdRng) -> bool {
        match self {
            Self::Off | Self::Next(0) => false,
            Self::Permille(permille) => dice.random_range(0..1_000) < *permille,
            Self::Next(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// Every fault. Over HTTP: `GET` and `PUT /sandbox/knobs`, chances as `"off"`, `{"permille": 100}` or `{"next": 3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// An event is delivered twice, `duplicate_after_ms` apart.
    pub duplicate: Chance,
    /// How far apart.
    pub duplicate_after_ms: i64,
    /// An event is overtaken by later ones, by up to `shuffle_ms`.
    pub out_of_order: Chance,
    /// How late it may come.
    pub shuffle_ms: i64,
    /// An event comes `delay_ms` late.
    pub delayed: Chance,
    /// How late.
    pub delay_ms: i64,
    /// An event never comes.
    pub lost: Chance,
    /// Besides an event comes a forged one, tenfold, with a wrong signature. New objects draw one that says they are paid.
    pub forged_signature: Chance,
    /// The same with an old or altered time.
    pub forged_time: Chance,
    /// The same with a certificate from a foreign host (PayPal; for Stripe it is a wrong signature).
    pub forged_host: Chance,
    /// Besides an event comes one, rightly signed, about an object that does not exist.
    pub unknown_object: Chance,
    /// An event, rightly signed, states ten times the amount. The API tells the truth.
    pub event_wrong_amount: Chance,
    /// An event, rightly signed, states another currency. The API tells the truth.
    pub event_wrong_currency: Chance,
    /// A new payment is for one unit of its currency more than was asked for, in the API and in truth.
    pub api_wrong_amount: Chance,
    /// A new payment is in another currency than was asked for, in the API and in truth.
    pub api_wrong_currency: Chance,
    /// A call is answered 429 with `Retry-After`.
    pub rate_limited: Chance,
    /// What `Retry-After` says.
    pub retry_after_secs: u32,
    /// A call is answered 500 and nothing is done.
    pub fail_before: Chance,
    /// A call is done and answered 500.
    pub fail_after: Chance,
    /// A call is done and the connection is closed without an answer.
    pub close_after: Chance,
    /// A call is done and its answer takes `slow_ms`.
    pub slow: Chance,
    /// How long.
    pub slow_ms: u64,
    /// A dispute lost at PayPal also shows as a reversal: an event `PAYMENT.CAPTURE.REVERSED` and a row among the refunds,
    /// about the same money.
    pub reversed_too: Chance,
    /// The five faults of calls only strike where `"POST /v1/refunds"`, method and path, contains this. Empty: anywhere.
    pub only: String,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            duplicate: Chance::Off,
            duplicate_after_ms: 70,
            out_of_order: Chance::Off,
            shuffle_ms: 500,
            delayed: Chance::Off,
            delay_ms: 5_000,
            lost: Chance::Off,
            forged_signature: Chance::Off,
            forged_time: Chance::Off,
            forged_host: Chance::Off,
            unknown_object: Chance::Off,
            event_wrong_amount: Chance::Off,
            event_wrong_currency: Chance::Off,
            api_wrong_amount: Chance::Off,
            api_wrong_currency: Chance::Off,
            rate_limited: Chance::Off,
            retry_after_secs: 1,
            fail_before: Chance::Off,
            fail_after: Chance::Off,
            close_after: Chance::Off,
            slow: Chance::Off,
            slow_ms: 2_000,
            reversed_too: Chance::Off,
            only: String::new(),
        }
    }
}

/// What befalls one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub rate_limited: Option<u32>,
    pub fail_before: bool,
    pub fail_after: bool,
    pub close_after: bool,
    pub slow_ms: Option<u64>,
}

impl Knobs {
    /// Draws what befalls a call. At most one of the faults, so that a count is a count of calls; slowness may come on top.
    pub(crate) fn befalls(&mut self, call: &str, dice: &mut StdRng) -> Faults {
        let mut faults = Faults::default();
        if !call.contains(&self.only) {
            return faults;
        }
        if self.rate_limited.strikes(dice) {
            faults.rate_limited = Some(self.retry_after_secs);
        } else if self.fail_before.strikes(dice) {
            faults.fail_before = true;
        } else if self.fail_after.strikes(dice) {
            faults.fail_after = true;
        } else if self.close_after.strikes(dice) {
            faults.close_after = true;
        }
        if self.slow.strikes(dice) {
            faults.slow_ms = Some(self.slow_ms);
        }
        faults
    }
}
