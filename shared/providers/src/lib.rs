//! The outside services behind small traits. Owns their wire formats, bounds and retries; knows nothing of money rules.

pub mod http;
pub mod mail;
pub mod paypal;
pub mod queue;
mod scheduler;
mod secret;
mod ses;
mod sqs;
pub mod stripe;

pub use http::{CallError, ClientError, Endpoint, HttpBounds, Refusal, is_object_id};
pub use mail::{Letter, MailError, MailFailure, Mailer, MessageId, RawMail};
pub use paypal::{PayPal, PayPalConfig};
pub use queue::{Depth, Queue, QueueError, Received};
pub use scheduler::{
    Deployed, EventBridgeScheduler, FollowsSetting, Scheduler, SchedulerError, expression as schedule_expression,
};
pub use secret::Secret;
pub use ses::SesMailer;
pub use sqs::SqsQueue;
pub use stripe::{Stripe, StripeConfig};
