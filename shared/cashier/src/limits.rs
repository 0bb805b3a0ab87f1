//! How often somebody may ask for what costs a call to a processor, whichever area they ask it of.

use api::{Caller, ClientIp, Kit, Limit, Problem, address_bucket};

/// Requests in a minute that a processor is asked for, by one account and from one address.
const BY_ACCOUNT: u32 = 20;
const BY_ADDRESS: u32 = 60;
const PER_SECS: i64 = 60;

/// Counts one more. All areas count in the same buckets: the processor's own limit is one for all of them.
///
/// # Errors
/// 429 with the time to wait; the store's.
pub async fn pay(kit: &Kit, caller: &Caller, ip: ClientIp) -> Result<(), Problem> {
    let limit = |bucket: String, most: u32| Limit { bucket, most, per_secs: PER_SECS };
    let account = limit(format!("pay:account:{}", caller.user), BY_ACCOUNT);
    let address = limit(format!("pay:address:{}", address_bucket(ip.0)), BY_ADDRESS);
    kit.limit(&[account, address]).await
}
