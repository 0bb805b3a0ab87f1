//! How a sandbox is set up: its keys, its clock, where its webhooks go and when.

use crate::knobs::Knobs;
use crate::webhooks::Target;
use std::fmt;
use std::sync::Arc;

/// The processors a sandbox stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Processor {
    /// Stripe.
    Stripe,
    /// PayPal.
    PayPal,
}

/// Where the sandbox has its time from: milliseconds since 1970. Signatures carry it, so it must be the clock of those who
/// check them.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the sandbox stands outside: it is nobody's context")]
        Self::from_fn(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// Any other: milliseconds since 1970.
    #[must_use]
    pub fn from_fn(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// The time, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}

/// Who calls [`crate::Sandbox::deliver_all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivering {
    /// The test: nothing is sent until it says so.
    Manual,
    /// A task of the sandbox, as events fall due.
    Background,
}

/// The Stripe account.
#[derive(Clone, Debug)]
pub struct StripeAccount {
    /// The key callers show as bearer.
    pub secret_key: String,
    /// What webhooks are signed with. More than one while a secret is being rotated: one `v1` for each.
    pub webhook_secrets: Vec<String>,
    /// Where webhooks go; without one they wait.
    pub target: Option<Target>,
}

/// The PayPal app.
#[derive(Clone, Debug)]
pub struct PayPalApp {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The webhook's id, a part of what is signed.
    pub webhook_id: String,
    /// How long an access token lives.
    pub token_secs: i64,
    /// How long an order waits for its payer and its capture. Then it is as if it had never been.
    pub order_secs: i64,
    /// Where webhooks go; without one they wait.
    pub target: Option<Target>,
}

/// Everything about a sandbox. `Config::default()` is what tests start from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Ids and faults follow from it.
    pub seed: u64,
    /// The time.
    pub clock: Clock,
    /// The Stripe account.
    pub stripe: StripeAccount,
    /// The PayPal app.
    pub paypal: PayPalApp,
    /// Who sends webhooks.
    pub delivering: Delivering,
    /// Faults from the beginning on.
    pub knobs: Knobs,
    /// How often a webhook is tried that is not answered by 2xx.
    pub most_tries: u32,
    /// The wait before the second try; it doubles with each.
    pub backoff_ms: i64,
    /// How many objects of a kind, remembered answers and waiting webhooks are kept; the oldest go first.
    pub most_objects: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            seed: 1,
            clock: Clock::system(),
            stripe: StripeAccount {
                secret_key: "sk_test_sandbox".to_owned(),
                webhook_secrets: vec!["whsec_sandbox".to_owned()],
                target: None,
            },
            paypal: PayPalApp {
                client_id: "sandbox-client".to_owned(),
                client_secret: "sandbox-client-secret".to_owned(),
                webhook_id: "5SB74927XH1234567".to_owned(),
                token_secs: 32_400,
                order_secs: 6 * 3_600,
                target: None,
            },
            delivering: Delivering::Manual,
            knobs: Knobs::default(),
            most_tries: 8,
            backoff_ms: 200,
            most_objects: 50_000,
        }
    }
}
