//! What every HTTP area works with, beside its own things.

use crate::access::AccessKeys;
use crate::clock::Clock;
use crate::problem::Problem;
use domain::{Id, Timestamp};
use std::net::IpAddr;
use store::{Limit, Store};
use uuid::{NoContext, Timestamp as UuidTime, Uuid};

/// Store, time and keys, for one area. [`crate::serve`] hands it to every extractor and layer of the area.
#[derive(Clone, Debug)]
pub struct Kit {
    /// The tables.
    pub store: Store,
    /// The time of day.
    pub clock: Clock,
    /// What access tokens are checked with.
    pub keys: AccessKeys,
    /// Web pages that may call from a browser, as origins (`https://panel.example.com`); `*` for any.
    pub origins: Vec<String>,
    /// The area, as scopes of API keys name it.
    pub area: &'static str,
}

impl Kit {
    /// The kit of an area. Browsers may call from nowhere until origins are named.
    #[must_use]
    pub fn new(area: &'static str, store: Store, clock: Clock) -> Self {
        let keys = AccessKeys::new(store.clone(), clock.clone());
        Self { store, clock, keys, origins: Vec::new(), area }
    }

    /// As this one, for another area: both read the same keys.
    #[must_use]
    pub fn of(&self, area: &'static str) -> Self {
        Self { area, ..self.clone() }
    }

    /// Counts one more in each bucket, in order.
    ///
    /// # Errors
    /// 429 with the time to wait, at the first one that is full; the store's.
    pub async fn limit(&self, limits: &[Limit]) -> Result<(), Problem> {
        let now = self.clock.now();
        for limit in limits {
            if let Some(secs) = self.store.limit_take(limit, now).await? {
                return Err(Problem::too_many(secs));
            }
        }
        Ok(())
    }

    /// A new id of a kind, see [`new_id`].
    #[must_use]
    pub fn id(&self, prefix: &str) -> Id {
        new_id(prefix, self.clock.now())
    }
}

/// A new id: the prefix of its kind and a UUID whose text order is the order in time.
///
/// # Panics
/// Never: prefixes are ours, and the rest is hex.
#[must_use]
pub fn new_id(prefix: &str, now: Timestamp) -> Id {
    let secs = u64::try_from(now.secs()).unwrap_or(0);
    let uuid = Uuid::new_v7(UuidTime::from_unix(NoContext, secs, 0));
    Id::new(&format!("{prefix}_{}", uuid.simple())).unwrap_or_else(|_| unreachable!("prefixes are ours"))
}

/// An address as it is counted: a customer of a provider has a whole /64 of IPv6.
#[must_use]
pub fn address_bucket(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
    }
}
