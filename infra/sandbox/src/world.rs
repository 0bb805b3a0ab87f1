//! What the sandbox knows, behind one lock. Owns time, ids and dice; the books belong to their processors.

use crate::bounded::Bounded;
use crate::config::{Config, Processor};
use crate::gate::Replay;
use crate::knobs::{Chance, Knobs};
use crate::webhooks::Queue;
use crate::{paypal, stripe};
use chrono::{DateTime, SecondsFormat};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The seed of the dice is not the seed of the ids, so that a knob does not change the ids.
const DICE: u64 = 0x5eed_d1ce;

/// Everything, changed only under the lock of [`Shared`].
pub(crate) struct World {
    pub config: Config,
    pub knobs: Knobs,
    pub url: String,
    pub stripe: stripe::Books,
    pub paypal: paypal::Books,
    pub queue: Queue,
    pub replays: Bounded<Replay>,
    ids: StdRng,
    dice: StdRng,
}

impl World {
    pub fn new(config: Config, url: String) -> Self {
        Self {
            knobs: config.knobs.clone(),
            url,
            stripe: stripe::Books::new(config.most_objects),
            paypal: paypal::Books::new(config.most_objects),
            queue: Queue::new(config.most_objects),
            replays: Bounded::new(config.most_objects),
            ids: StdRng::seed_from_u64(config.seed),
            dice: StdRng::seed_from_u64(config.seed ^ DICE),
            config,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.config.clock.now_ms()
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now_ms() / 1_000
    }

    /// A new id of letters and digits.
    pub fn id(&mut self, prefix: &str, length: usize) -> String {
        self.text(prefix, length, b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    }

    /// A new id of capital letters and digits.
    pub fn capital_id(&mut self, prefix: &str, length: usize) -> String {
        self.text(prefix, length, b"0123456789ABCDEFGHJKLMNPRSTUVWXY")
    }

    fn text(&mut self, prefix: &str, length: usize, letters: &[u8]) -> String {
        let mut text = prefix.to_owned();
        text.extend(
            (0..length).filter_map(|_| letters.get(self.ids.random_range(0..letters.len())).copied().map(char::from)),
        );
        text
    }

    /// A new id in the form of a UUID.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.ids.random()).into_uuid().to_string()
    }

    /// Whether a fault strikes now.
    pub fn strikes(&mut self, knob: impl FnOnce(&mut Knobs) -> &mut Chance) -> bool {
        knob(&mut self.knobs).strikes(&mut self.dice)
    }

    /// What befalls a call to a processor.
    pub fn befalls(&mut self, call: &str) -> crate::knobs::Faults {
        self.knobs.befalls(call, &mut self.dice)
    }

    /// A random time up to `most`.
    pub fn up_to(&mut self, most: i64) -> i64 {
        self.dice.random_range(0..=most.max(0))
    }

    /// What a payment asked for `amount` in `currency` becomes.
    pub fn agreed(&mut self, amount: i64, currency: &str) -> (i64, String) {
        let amount = if self.strikes(|knobs| &mut knobs.api_wrong_amount) {
            amount.saturating_add(crate::money::one(currency))
        } else {
            amount
        };
        let wrong = self.strikes(|knobs| &mut knobs.api_wrong_currency);
        (amount, if wrong { other_currency(currency).to_owned() } else { currency.to_owned() })
    }

    pub fn target(&self, processor: Processor) -> Option<crate::webhooks::Target> {
        match processor {
            Processor::Stripe => self.config.stripe.target.clone(),
            Processor::PayPal => self.config.paypal.target.clone(),
        }
    }
}

/// Another currency, in the same letters.
pub(crate) fn other_currency(currency: &str) -> &'static str {
    match currency {
        "usd" => "eur",
        "USD" => "EUR",
        text if text.bytes().all(|byte| byte.is_ascii_lowercase()) => "usd",
        _ => "USD",
    }
}

/// `2026-11-10T00:00:00Z`.
pub(crate) fn rfc3339(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The world and what is needed to reach it from tasks.
pub(crate) struct Inner {
    world: Mutex<World>,
    pub http: reqwest::Client,
}

impl Inner {
    pub fn new(world: World, http: reqwest::Client) -> Self {
        Self { world: Mutex::new(world), http }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every handler gets.
pub(crate) type Shared = Arc<Inner>;
