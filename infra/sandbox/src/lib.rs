//! Stand-ins for Stripe and PayPal. They speak the documented wire formats over HTTP, send signed webhooks, and misbehave on
//! demand. Tests and `skymeter up` use them; nothing that is deployed does.
//!
//! # In a test
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use sandbox::{Card, Chance, Config, Processor, Sandbox, Target};
//!
//! let sandbox = Sandbox::start(Config::default()).await?;
//! sandbox.send_webhooks_to(Processor::Stripe, Target::call(|delivery| async move { 200 }));
//! // ... our code makes a payment intent at `sandbox.url()` ...
//! sandbox.pay_intent("pi_...", Card::Visa)?;
//! sandbox.tune(|knobs| knobs.duplicate = Chance::ALWAYS);
//! sandbox.deliver_all().await;
//! assert_eq!(sandbox.captured().kept("USD"), 2_000);
//! # Ok(()) }
//! ```
//!
//! Nothing sleeps there: webhooks wait until [`Sandbox::deliver_all`] sends them, in the order of their times. Ids and faults
//! follow from `Config::seed` as long as calls come one after the other. Signatures carry the time of `Config::clock`.
//!
//! # By hand
//!
//! `GET /` lists payments; `/pay/{payment intent}` and `/checkoutnow?token={order}` are the pages a customer pays at.
//! What else happens outside: `POST /sandbox/actions` with an [`Action`], `{"do": "dispute", "id": "pi_..."}`. Faults:
//! `GET` and `PUT /sandbox/knobs` ([`Knobs`]). What is true: `GET /sandbox/payments` ([`Truth`]). What was sent:
//! `GET /sandbox/deliveries`; `POST` sends what waits.
//!
//! # What it keeps to
//!
//! - Stripe: forms in, JSON out; unknown parameters are refused; `Idempotency-Key` remembers every answer of a call that was
//!   begun, 500s too, for 24 hours; a charge shows its refunds only when asked to (`expand[]=latest_charge.refunds`), as since
//!   version 2022-11-15; webhook bodies are indented; a signature for every secret.
//! - PayPal: tokens; `Prefer: return=representation`; `PayPal-Request-Id` answers what succeeded before, whatever the
//!   parameters, for 6 hours (refunds: 45 days); fields that are not there are left away; the signature check is by post-back,
//!   over the event's bytes as they stand in the body.
//! - Amounts are integers in minor units. No floats.
//!
//! It owns no rule of ours and depends on none of our crates: what it says is what the processors' documents say.

// Stripe's objects have more fields than the macro's usual depth.
#![recursion_limit = "512"]

mod actions;
mod announce;
mod bounded;
mod config;
mod deliver;
mod form;
mod gate;
mod knobs;
mod money;
mod pages;
mod paypal;
mod serve;
mod stripe;
mod truth;
mod webhooks;
mod world;

pub use actions::{Action, Outcome};
pub use config::{Clock, Config, Delivering, PayPalApp, Processor, StripeAccount};
pub use knobs::{Chance, Knobs};
pub use paypal::Wallet;
pub use stripe::Card;
pub use truth::{Payment, Truth};
pub use webhooks::{Delivery, Sent, Tally, Target};

use anyhow::Context as _;
use axum::Router;
use deliver::Due;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use world::{Inner, Shared, World};

/// A running sandbox. Stops when it is dropped.
pub struct Sandbox {
    shared: Shared,
    url: String,
    tasks: Vec<AbortHandle>,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await.context("the sandbox's port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let delivering = config.delivering;
        let shared = Arc::new(Inner::new(World::new(config, url.clone()), http));
        let service = router(&shared).into_make_service_with_connect_info::<serve::Line>();
        let server = tokio::spawn(async move { axum::serve(serve::Lines(listener), service).await });
        let mut tasks = vec![server.abort_handle()];
        match delivering {
            Delivering::Manual => {}
            Delivering::Background => {
                tasks.push(tokio::spawn(deliver::in_background(Arc::clone(&shared))).abort_handle());
            }
        }
        Ok(Self { shared, url, tasks })
    }

    /// Where it is: the base of both processors' APIs.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Closes the port and ends all sending. What it knows can still be asked.
    pub fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }

    /// The faults that are on.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.world().knobs.clone()
    }

    /// Sets all faults.
    pub fn set_knobs(&self, knobs: Knobs) {
        self.shared.world().knobs = knobs;
    }

    /// Changes some faults.
    pub fn tune(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.shared.world().knobs);
    }

    /// Where a processor's webhooks go from now on, those that wait too.
    pub fn send_webhooks_to(&self, processor: Processor, target: Target) {
        let mut world = self.shared.world();
        match processor {
            Processor::Stripe => world.config.stripe.target = Some(target),
            Processor::PayPal => world.config.paypal.target = Some(target),
        }
        world.queue.arrival.notify_one();
    }

    /// What Stripe's webhooks are signed with: two secrets while one is being rotated.
    pub fn set_stripe_webhook_secrets(&self, secrets: Vec<String>) {
        self.shared.world().config.stripe.webhook_secrets = secrets;
    }

    /// Ends every access token of PayPal.
    pub fn expire_tokens(&self) {
        let mut world = self.shared.world();
        world.paypal.tokens = bounded::Bounded::new(world.config.most_objects);
    }

    /// Headers with a right signature for any body: for events that are well signed and otherwise wrong.
    #[must_use]
    pub fn signed(&self, processor: Processor, body: &str) -> Vec<(String, String)> {
        let event = webhooks::Event { processor, id: String::new(), kind: String::new(), body: body.to_owned() };
        let mut world = self.shared.world();
        match processor {
            Processor::Stripe => stripe::signed(&world, &event, None),
            Processor::PayPal => paypal::signed(&mut world, &event, None),
        }
    }

    /// Does what somebody outside does. The id of the refund or dispute that came of it, otherwise the id given.
    ///
    /// # Errors
    /// When the state of things does not allow it.
    pub fn act(&self, action: Action) -> anyhow::Result<String> {
        actions::act(&mut self.shared.world(), action)
    }

    /// A customer pays an intent at Stripe's page.
    ///
    /// # Errors
    /// When the intent is unknown, paid or cancelled. A declined card is no error: the intent says so.
    pub fn pay_intent(&self, id: &str, card: Card) -> anyhow::Result<()> {
        self.act(Action::Pay { id: id.to_owned(), card }).map(drop)
    }

    /// A customer answers their bank's question about an intent.
    ///
    /// # Errors
    /// When the intent asks nothing.
    pub fn authenticate_intent(&self, id: &str, passes: bool) -> anyhow::Result<()> {
        self.act(Action::Authenticate { id: id.to_owned(), passes }).map(drop)
    }

    /// A payer with money approves an order.
    ///
    /// # Errors
    /// When the order is unknown or captured.
    pub fn approve_order(&self, id: &str) -> anyhow::Result<()> {
        self.approve_order_with(id, Wallet::Pays)
    }

    /// A payer approves an order.
    ///
    /// # Errors
    /// When the order is unknown or captured.
    pub fn approve_order_with(&self, id: &str, wallet: Wallet) -> anyhow::Result<()> {
        self.act(Action::Approve { id: id.to_owned(), wallet }).map(drop)
    }

    /// PayPal completes or denies a pending capture.
    ///
    /// # Errors
    /// When it is not pending.
    pub fn settle_capture(&self, id: &str, completed: bool) -> anyhow::Result<()> {
        self.act(Action::Settle { id: id.to_owned(), completed }).map(drop)
    }

    /// A customer disputes what is left of a payment. The dispute's id.
    ///
    /// # Errors
    /// When nothing is left or it is disputed already.
    pub fn dispute(&self, id: &str) -> anyhow::Result<String> {
        self.act(Action::Dispute { id: id.to_owned(), amount: None })
    }

    /// A dispute ends. `id` is the dispute or its payment.
    ///
    /// # Errors
    /// When there is none that is open.
    pub fn close_dispute(&self, id: &str, outcome: Outcome) -> anyhow::Result<()> {
        self.act(Action::CloseDispute { id: id.to_owned(), outcome }).map(drop)
    }

    /// Somebody refunds at the processor's dashboard, unknown to us; without an amount, what is left. The refund's id.
    ///
    /// # Errors
    /// When not so much is left.
    pub fn refund_from_dashboard(&self, id: &str, amount: Option<i64>) -> anyhow::Result<String> {
        self.act(Action::Refund { id: id.to_owned(), amount })
    }

    /// What really happened to money.
    #[must_use]
    pub fn captured(&self) -> Truth {
        truth::truth(&self.shared.world())
    }

    /// Sends every webhook, delayed ones too, one after the other in the order of their times, retries included, and those
    /// that arise meanwhile.
    pub async fn deliver_all(&self) -> Tally {
        deliver::drain(&self.shared, Due::Ever, 1).await
    }

    /// The same, `width` at a time: repeats and neighbours race.
    pub async fn deliver_concurrently(&self, width: usize) -> Tally {
        deliver::drain(&self.shared, Due::Ever, width).await
    }

    /// Sends the webhooks that are due by the clock.
    pub async fn deliver_due(&self) -> Tally {
        deliver::drain(&self.shared, Due::Now, 1).await
    }

    /// The latest attempts, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.world().queue.sent.iter().cloned().collect()
    }

    /// How many genuine events will never arrive.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.world().queue.lost
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}

fn router(shared: &Shared) -> Router {
    stripe::routes(shared)
        .merge(paypal::routes(shared))
        .merge(actions::routes())
        .merge(pages::routes())
        .with_state(Arc::clone(shared))
}
