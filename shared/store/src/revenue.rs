//! Reading what came in and went out by month and kind, as the projector added it up.

use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{number, text};
use crate::keys::{self, SK};
use domain::money::Unit;
use domain::wallet::Kind;
use domain::{Amount, Month};
use std::collections::BTreeMap;

/// One month of all wallets of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevenueMonth {
    /// `YYYY-MM`.
    pub month: String,
    /// The sum of each kind of page; a kind without pages is left out.
    pub by_kind: BTreeMap<Kind, Amount>,
}

impl RevenueMonth {
    /// The sum of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Amount {
        self.by_kind.get(&kind).copied().unwrap_or_default()
    }
}

/// Every kind there is a sum of.
const KINDS: [Kind; 8] = [
    Kind::Usage,
    Kind::Payment,
    Kind::Refund,
    Kind::Adjustment,
    Kind::Reversal,
    Kind::Admin,
    Kind::Purchase,
    Kind::Transfer,
];

impl Store {
    /// The months from `from` to `to`, both included, that have pages, oldest first.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn revenue_months(&self, unit: Unit, from: Month, to: Month) -> Result<Vec<RevenueMonth>, StoreError> {
        let (from, to) = (from.to_string(), to.to_string());
        // An item a month: the partition stays small.
        let items = self.query_all(Area::Rollups, &keys::revenue(unit)).await?;
        let months = items.iter().filter_map(|item| {
            let month = text(item, SK).filter(|month| (from.as_str()..=to.as_str()).contains(month))?;
            let sum = |kind: Kind| number::<i64>(item, kind.as_str()).map(|steps| (kind, Amount::from_steps(steps)));
            Some(RevenueMonth { month: month.to_owned(), by_kind: KINDS.into_iter().filter_map(sum).collect() })
        });
        Ok(months.collect())
    }
}
