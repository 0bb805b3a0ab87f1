//! How often PayPal is asked whether a webhook is its own. Anybody can send one, and each that looks right costs a call; so who
//! sent forged ones is not asked about again for a while, and all together have a bound. Whatever is refused for it PayPal
//! sends again, for three days, and the sweep finds the payment by itself.
//!
//! Only forged ones are counted by address: genuine ones come many from few addresses.

use super::WebhookError;
use crate::Cashier;
use api::{ClientIp, Limit, address_bucket};

/// Webhooks from one address that PayPal does not know as its own.
const FORGED_BY_ADDRESS: u32 = 20;
const FORGED_SECS: i64 = 300;
/// Questions in all.
const ASKED: u32 = 600;
const ASKED_SECS: i64 = 60;

fn forged(ip: ClientIp) -> Limit {
    let bucket = format!("webhook:forged:{}", address_bucket(ip.0));
    Limit { bucket, most: FORGED_BY_ADDRESS, per_secs: FORGED_SECS }
}

/// Whether PayPal may be asked about a webhook from there; counts the question. Whoever sent too many forged ones takes no place
/// of the others'.
pub async fn may_ask(cashier: &Cashier, ip: ClientIp) -> Result<(), WebhookError> {
    let now = cashier.clock.now();
    if let Some(secs) = cashier.store.limit_full(&forged(ip), now).await? {
        return Err(WebhookError::TooMany(secs));
    }
    let asked = Limit { bucket: "webhook:asked".to_owned(), most: ASKED, per_secs: ASKED_SECS };
    cashier.store.limit_take(&asked, now).await?.map_or(Ok(()), |secs| Err(WebhookError::TooMany(secs)))
}

/// Counts one that PayPal did not know.
pub async fn was_forged(cashier: &Cashier, ip: ClientIp) -> Result<(), WebhookError> {
    cashier.store.limit_take(&forged(ip), cashier.clock.now()).await?;
    Ok(())
}
