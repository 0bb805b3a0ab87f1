//! The store: one SDK client, the tables' names, and the counters.

use crate::capacity::Capacity;
use crate::guard::LedgerGuard;
use crate::tables::TableDefinition;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use std::sync::Arc;

/// The tables of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    /// Pages and keys.
    pub ledger: String,
    /// Users and their secrets.
    pub identity: String,
    /// Everything else.
    pub main: String,
}

impl TableNames {
    /// `<prefix>-ledger` and so on.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |table: &str| format!("{prefix}-{table}");
        Self { ledger: name("ledger"), identity: name("identity"), main: name("main") }
    }

    /// The full name of a definition.
    #[must_use]
    pub fn name(&self, table: &TableDefinition) -> &str {
        match table.name {
            "ledger" => &self.ledger,
            "identity" => &self.identity,
            _ => &self.main,
        }
    }
}

/// How a store is made: the SDK's configuration and the tables.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Region, credentials, endpoint, retries, HTTP client.
    pub sdk: SdkConfig,
    /// The tables.
    pub tables: TableNames,
}

/// Cheap to clone; every clone shares the client and the counters.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    tables: Arc<TableNames>,
    capacity: Arc<Capacity>,
}

impl Store {
    /// Makes the client, with the guard in front of the ledger.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        let guard = LedgerGuard { ledger: config.tables.ledger.clone() };
        let sdk = aws_sdk_dynamodb::config::Builder::from(&config.sdk).interceptor(guard).build();
        Self { client: Client::from_conf(sdk), tables: Arc::new(config.tables), capacity: Arc::default() }
    }

    /// The SDK's client, guard included; outside this crate for tests and tools that look at raw items.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The tables' names.
    #[must_use]
    pub fn tables(&self) -> &TableNames {
        &self.tables
    }

    /// What the calls have cost so far.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }
}
