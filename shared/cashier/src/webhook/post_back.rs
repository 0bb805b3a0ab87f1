//! How often PayPal is asked whether a webhook is its own. Anybody can send one, and each that looks right costs a call; so who
//! sent forged ones is not asked about again for a while, and all together have a bound. Whatever is refused for it PayPal
//! sends again, for three days, and the sweep finds the payment by itself.
//!
//! An address has a place for each question before it is asked, so that nobody takes all places by sending many at once, or such
//! as PayPal leaves unanswered. It has many, for genuine ones come many from few addresses; forged ones are counted apart.

use super::WebhookError;
use crate::Cashier;
use api::{ClientIp, Limit, address_bucket};

/// Webhooks from one address that PayPal does not know as its own.
const FORGED_BY_ADDRESS: u32 = 20;
const FORGED_SECS: i64 = 300;
/// Questions about what comes from one address, whatever the answers, and in all.
const ASKED_BY_ADDRESS: u32 = 300;
const ASKED: u32 = 600;
const ASKED_SECS: i64 = 60;

fn forged(ip: ClientIp) -> Limit {
    let bucket = format!("webhook:forged:{}", address_bucket(ip.0));
    Limit { bucket, most: FORGED_BY_ADDRESS, per_secs: FORGED_SECS }
}

/// Whether PayPal may be asked about a webhook from there; counts the question. Whoever sent too many, or too many forged ones,
/// takes no place of the others'.
pub async fn may_ask(cashier: &Cashier, ip: ClientIp) -> Result<(), WebhookError> {
    let now = cashier.clock.now();
    if let Some(secs) = cashier.store.limit_full(&forged(ip), now).await? {
        return Err(WebhookError::TooMany(secs));
    }
    let asked = |bucket: String, most: u32| Limit { bucket, most, per_secs: ASKED_SECS };
    let by_address = asked(format!("webhook:asked:{}", address_bucket(ip.0)), ASKED_BY_ADDRESS);
    for limit in [by_address, asked("webhook:asked".to_owned(), ASKED)] {
        if let Some(secs) = cashier.store.limit_take(&limit, now).await? {
            return Err(WebhookError::TooMany(secs));
        }
    }
    Ok(())
}

/// Counts one that PayPal did not know.
pub async fn was_forged(cashier: &Cashier, ip: ClientIp) -> Result<(), WebhookError> {
    cashier.store.limit_take(&forged(ip), cashier.clock.now()).await?;
    Ok(())
}
