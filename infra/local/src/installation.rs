//! What an operator's command works on: a data directory of this machine, or a stage in the cloud.

use crate::data_dir::DataDir;
use crate::system::System;
use api::{Clock, start};
use metering::Metering;
use providers::{Queue, SqsQueue};
use std::path::PathBuf;
use std::sync::Arc;
use store::{Store, StoreConfig, TableNames};

/// Which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A data directory that exists.
    Directory(PathBuf),
    /// The tables and queues of a stage, in the account, region and endpoint of the standard AWS configuration.
    Cloud {
        /// `dev`, `prod`: part of every name, as in `template.yaml`.
        stage: String,
        /// Another ledger: one that was restored beside the original.
        ledger: Option<String>,
        /// Another main table.
        main: Option<String>,
    },
}

/// An installation, opened.
#[derive(Debug)]
pub struct Installation {
    /// Its tables.
    pub store: Store,
    /// The time of day.
    pub clock: Clock,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Directory { data: DataDir, system: Box<System> },
    Cloud { sdk: Box<aws_config::SdkConfig>, stage: String },
}

impl Installation {
    /// Opens it.
    ///
    /// # Errors
    /// The data directory cannot be opened; the tables were written by a newer version, or do not answer.
    pub async fn open(target: &Target) -> anyhow::Result<Self> {
        let clock = Clock::system();
        match target {
            Target::Directory(path) => {
                let data = DataDir::open(path, false)?;
                let system = Box::new(System::open(Some(&data), clock.clone(), None).await?);
                Ok(Self { store: system.store.clone(), clock, parts: Parts::Directory { data, system } })
            }
            Target::Cloud { stage, ledger, main } => {
                let sdk = start::sdk().await;
                let names = TableNames::with_prefix(&prefix(stage));
                let tables = TableNames {
                    ledger: ledger.clone().unwrap_or(names.ledger),
                    main: main.clone().unwrap_or(names.main),
                    identity: names.identity,
                };
                let store = Store::new(StoreConfig { sdk: sdk.clone(), tables });
                store.schema_check().await?;
                Ok(Self { store, clock, parts: Parts::Cloud { sdk: Box::new(sdk), stage: stage.clone() } })
            }
        }
    }

    /// Its metering, and the queues with its dead letters.
    ///
    /// # Errors
    /// A queue that is not there.
    pub async fn metering(&self) -> anyhow::Result<(Metering, Vec<Arc<dyn Queue>>)> {
        match &self.parts {
            Parts::Directory { system, .. } => {
                let dead = system.dead.iter().map(|queue| -> Arc<dyn Queue> { Arc::new(queue.clone()) }).collect();
                Ok((system.metering.clone(), dead))
            }
            Parts::Cloud { sdk, stage } => {
                let queue = async |name: &str| {
                    let queue: Arc<dyn Queue> =
                        Arc::new(SqsQueue::named(sdk, &format!("{}-{name}", prefix(stage))).await?);
                    anyhow::Ok(queue)
                };
                let (shards, jobs) = (queue("metering").await?, queue("jobs").await?);
                let dead = vec![queue("metering-dead").await?, queue("jobs-dead").await?];
                Ok((Metering { store: self.store.clone(), shards, jobs, clock: self.clock.clone() }, dead))
            }
        }
    }

    /// Notes that nothing was left undone, where it was so before or `repaired` it is now.
    ///
    /// # Errors
    /// The file system's.
    pub fn close(self, repaired: bool) -> anyhow::Result<()> {
        match self.parts {
            Parts::Directory { data, .. } if repaired || data.was_clean() => data.mark_clean(),
            _ => Ok(()),
        }
    }
}

/// What all names of a stage begin with, as in `template.yaml`.
pub(crate) fn prefix(stage: &str) -> String {
    format!("skymeter-{stage}")
}
