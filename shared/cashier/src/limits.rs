//! How often somebody may ask for what costs a call to a processor, whichever area they ask it of.

use api::{Caller, ClientIp, Kit, Limit, Problem, address_bucket};

const PER_SECS: i64 = 60;

/// Requests in a minute that one account may make, and one address. `name` tells their buckets from others'.
struct Bounds {
    name: &'static str,
    by_account: u32,
    by_address: u32,
}

const PAY: Bounds = Bounds { name: "pay", by_account: 20, by_address: 60 };
const READ: Bounds = Bounds { name: "pay:read", by_account: 60, by_address: 180 };

/// Counts one more that pays or changes something. All areas count in the same buckets: the processor's own limit is one for all
/// of them.
///
/// # Errors
/// 429 with the time to wait; the store's.
pub async fn pay(kit: &Kit, caller: &Caller, ip: ClientIp) -> Result<(), Problem> {
    count(kit, &PAY, caller, ip).await
}

/// Counts one more that only reads. It takes no place of those that pay: who looks often, or has a key that may only look, keeps
/// nobody from paying.
///
/// # Errors
/// As [`pay`].
pub async fn read(kit: &Kit, caller: &Caller, ip: ClientIp) -> Result<(), Problem> {
    count(kit, &READ, caller, ip).await
}

async fn count(kit: &Kit, bounds: &Bounds, caller: &Caller, ip: ClientIp) -> Result<(), Problem> {
    let Bounds { name, by_account, by_address } = *bounds;
    let limit = |bucket: String, most: u32| Limit { bucket, most, per_secs: PER_SECS };
    let account = limit(format!("{name}:account:{}", caller.user), by_account);
    let address = limit(format!("{name}:address:{}", address_bucket(ip.0)), by_address);
    kit.limit(&[account, address]).await
}
