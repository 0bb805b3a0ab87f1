//! What a cashier is made of: on a laptop by hand, in the cloud from the environment.

use crate::Cashier;
use api::start::{StartError, required};
use api::{Clock, secret};
use aws_config::SdkConfig;
use providers::paypal::{PAYPAL_CERT_HOSTS, PAYPAL_URL};
use providers::stripe::STRIPE_URL;
use providers::{ClientError, Endpoint, PayPal, PayPalConfig, Queue, Secret, Stripe, StripeConfig};
use serde::Deserialize;
use std::sync::Arc;
use store::Store;

/// The ARN of Stripe's secret.
const STRIPE: &str = "STRIPE_SECRET_ARN";
/// The ARN of PayPal's.
const PAYPAL: &str = "PAYPAL_SECRET_ARN";
/// Webhook secrets that may hold at once: enough to rotate.
const MAX_WEBHOOK_SECRETS: usize = 4;

/// A Stripe account.
#[derive(Clone, Debug)]
pub struct StripeAccount {
    /// How to call it.
    pub api: StripeConfig,
    /// What its webhooks are signed with, any of them.
    pub webhook_secrets: Vec<Secret>,
}

/// What a cashier is made of. A processor that is left out takes no payments.
#[derive(Debug)]
pub struct CashierConfig {
    /// The tables.
    pub store: Store,
    /// The time of day.
    pub clock: Clock,
    /// Stripe.
    pub stripe: Option<StripeAccount>,
    /// PayPal.
    pub paypal: Option<PayPalConfig>,
    /// Hears of mails that were written to the outbox.
    pub mails: Option<Arc<dyn Queue>>,
    /// Where a customer comes back to from a processor's page.
    pub return_url: String,
}

impl Cashier {
    /// Makes the clients; calls nobody.
    ///
    /// # Errors
    /// A URL or a secret that is none.
    pub fn new(config: CashierConfig) -> Result<Self, ClientError> {
        let (stripe, webhook_secrets) = match config.stripe {
            Some(account) => (Some(Arc::new(Stripe::new(&account.api)?)), account.webhook_secrets),
            None => (None, Vec::new()),
        };
        let paypal = config.paypal.as_ref().map(PayPal::new).transpose()?;
        Ok(Self {
            store: config.store,
            clock: config.clock,
            stripe,
            webhook_secrets: webhook_secrets.into(),
            paypal: paypal.map(Arc::new),
            mails: config.mails,
            return_url: config.return_url.into(),
        })
    }

    /// From the environment: `STRIPE_SECRET_ARN` and `PAYPAL_SECRET_ARN` (either may be missing: that processor is not set
    /// up), `STRIPE_BASE_URL` and `PAYPAL_BASE_URL` (for stand-ins), `PAYMENT_RETURN_URL`.
    ///
    /// # Errors
    /// A setting or a secret that is missing or malformed; the sentence names it.
    pub async fn from_env(
        sdk: &SdkConfig,
        store: Store,
        clock: Clock,
        mails: Option<Arc<dyn Queue>>,
    ) -> Result<Self, StartError> {
        let stripe = match optional(STRIPE) {
            Some(arn) => Some(read_stripe(STRIPE, &secret::fetch(sdk, STRIPE, &arn).await?)?),
            None => None,
        };
        let paypal = match optional(PAYPAL) {
            Some(arn) => Some(read_paypal(PAYPAL, &secret::fetch(sdk, PAYPAL, &arn).await?)?),
            None => None,
        };
        let return_url = required("PAYMENT_RETURN_URL")?;
        let config = CashierConfig { store, clock, stripe, paypal, mails, return_url };
        Self::new(config).map_err(|error| {
            let name = if error.service == "PayPal" { "PAYPAL_BASE_URL" } else { "STRIPE_BASE_URL" };
            StartError::Malformed { name, why: "no client can be made from it and the secret beside it" }
        })
    }
}

/// `{"key": "sk_...", "webhook_secrets": ["whsec_..."]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StripeSecret {
    key: String,
    webhook_secrets: Vec<String>,
}

/// `{"client_id": "...", "client_secret": "...", "webhook_id": "..."}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayPalSecret {
    client_id: String,
    client_secret: String,
    webhook_id: String,
}

/// Stripe's account, from the text of its secret. `name` is the setting that refers to it, for the error.
///
/// # Errors
/// [`StartError::Malformed`].
pub fn read_stripe(name: &'static str, secret: &Secret) -> Result<StripeAccount, StartError> {
    let StripeSecret { key, webhook_secrets } = secret::json(secret, name)?;
    if key.is_empty() || webhook_secrets.iter().any(String::is_empty) {
        return Err(StartError::Malformed { name, why: "a key or webhook secret is empty" });
    }
    if webhook_secrets.is_empty() || webhook_secrets.len() > MAX_WEBHOOK_SECRETS {
        return Err(StartError::Malformed { name, why: "it holds one to four webhook secrets" });
    }
    let endpoint = Endpoint::new(optional("STRIPE_BASE_URL").unwrap_or_else(|| STRIPE_URL.to_owned()));
    Ok(StripeAccount {
        api: StripeConfig { endpoint, key: Secret::new(key) },
        webhook_secrets: webhook_secrets.into_iter().map(Secret::new).collect(),
    })
}

/// PayPal's, as [`read_stripe`].
///
/// # Errors
/// [`StartError::Malformed`].
pub fn read_paypal(name: &'static str, secret: &Secret) -> Result<PayPalConfig, StartError> {
    let PayPalSecret { client_id, client_secret, webhook_id } = secret::json(secret, name)?;
    if [&client_id, &client_secret, &webhook_id].into_iter().any(String::is_empty) {
        return Err(StartError::Malformed { name, why: "a part of it is empty" });
    }
    Ok(PayPalConfig {
        endpoint: Endpoint::new(optional("PAYPAL_BASE_URL").unwrap_or_else(|| PAYPAL_URL.to_owned())),
        client_id,
        client_secret: Secret::new(client_secret),
        webhook_id,
        cert_hosts: PAYPAL_CERT_HOSTS.map(str::to_owned).to_vec(),
    })
}

fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_are_none_are_refused_and_never_shown() {
        let stripe = |text: &str| read_stripe(STRIPE, &Secret::new(text));
        let good = stripe(r#"{"key":"sk_test_1","webhook_secrets":["whsec_1","whsec_2"]}"#).unwrap();
        assert_eq!(good.webhook_secrets.len(), 2);
        assert!(!format!("{good:?}").contains("sk_test_1") && !format!("{good:?}").contains("whsec"));
        for wrong in [
            "sk_test_1",
            r#"{"key":"sk_test_1"}"#,
            r#"{"key":"","webhook_secrets":["a"]}"#,
            r#"{"key":"sk_test_1","webhook_secrets":[]}"#,
            r#"{"key":"sk_test_1","webhook_secrets":["a","b","c","d","e"]}"#,
            r#"{"key":"sk_test_1","webhook_secrets":["a"],"more":1}"#,
        ] {
            let error = stripe(wrong).unwrap_err().to_string();
            assert!(error.contains("STRIPE_SECRET_ARN") && !error.contains("sk_test_1"), "{error}");
        }
        assert!(read_paypal(PAYPAL, &Secret::new(r#"{"client_id":"a","client_secret":"b","webhook_id":""}"#)).is_err());
    }
}
