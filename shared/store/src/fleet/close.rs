//! Closing a tenure whose last hour is on a page: it leaves its shard, so that metering no longer lists it, and its place in
//! the lane becomes free. Only the biller does this.

use super::{TenureDoc, active_key};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use crate::lanes::Lanes;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::tenure::Tenure;
use domain::{Id, Timestamp, Unit};
use std::collections::BTreeMap;

/// Tenures of one transaction: three actions each at most stay within DynamoDB's hundred.
const CLOSINGS_PER_WRITE: usize = 33;
/// Tries against others that change the same customers' lanes.
const MAX_TRIES: usize = 8;

/// A tenure to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Which.
    pub tenure: Tenure,
    /// The registry's revision the job was made from: if there is a newer fact, the tenure stays open.
    pub rev: u32,
}

impl Store {
    /// Closes tenures. One that is closed already, or has a newer fact, is left alone.
    ///
    /// # Errors
    /// DynamoDB's, or a conflict that did not end: the caller's message fails and comes again.
    pub async fn fleet_close(&self, closings: &[Closing], now: Timestamp) -> Result<(), StoreError> {
        for chunk in closings.chunks(CLOSINGS_PER_WRITE) {
            let mut tries = 0;
            while let Err(error) = self.close_chunk(chunk, now).await {
                tries += 1;
                if tries == MAX_TRIES || !matches!(error, StoreError::Conflict(_)) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn close_chunk(&self, closings: &[Closing], now: Timestamp) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<(String, String), u32> = BTreeMap::new();
        for Closing { tenure, rev } in closings {
            wanted.insert(active_key(&tenure.wallet.customer, &tenure.server, tenure.since), *rev);
        }
        let mut actions = Vec::new();
        let mut freed: BTreeMap<(Id, Unit), Vec<u16>> = BTreeMap::new();
        for item in self.get_many(Area::Registry, wanted.keys().cloned().collect()).await? {
            let (mut doc, rev) = read_document::<TenureDoc>(&item)?;
            let key = doc.active_key();
            if wanted.get(&key) != Some(&rev) || doc.recheck.is_some() {
                continue;
            }
            doc.closed_at = Some(now);
            freed.entry((doc.customer.clone(), doc.unit)).or_default().push(doc.lane);
            actions.push(self.delete_action(key.0, key.1, rev)?);
            actions.push(self.put_action(doc.item(doc.closed_key(), rev)?, None)?);
        }
        actions.extend(self.freed_lanes(freed, now).await?);
        if actions.is_empty() { Ok(()) } else { self.transact(Area::Registry, actions).await }
    }

    async fn freed_lanes(
        &self,
        freed: BTreeMap<(Id, Unit), Vec<u16>>,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let keys = freed.keys().map(|(customer, unit)| (keys::lanes(customer), unit.as_str().to_owned())).collect();
        let items = self.get_many(Area::Registry, keys).await?;
        let mut actions = Vec::with_capacity(items.len());
        for ((customer, unit), lanes_freed) in freed {
            let (pk, sk) = (keys::lanes(&customer), unit.as_str().to_owned());
            let is_ours = |item: &&crate::item::Item| {
                crate::item::text(item, keys::PK) == Some(&pk) && crate::item::text(item, keys::SK) == Some(&sk)
            };
            let Some(item) = items.iter().find(is_ours) else { continue };
            let (mut lanes, rev) = read_document::<Lanes>(item)?;
            lanes_freed.into_iter().for_each(|lane| lanes.free(lane, now.hour()));
            actions.push(self.put_action(document(pk, sk, rev + 1, &lanes)?, Some(rev))?);
        }
        Ok(actions)
    }
}
