//! The tables, defined once for every environment: `template.yaml` must say the same (a guard test compares them).

use crate::client::Store;
use crate::error::{StoreError, classify};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};

/// Version of keys and encodings. A data directory of a newer one is refused.
pub const SCHEMA_VERSION: u32 = 1;

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its part of the name, after the stage.
    pub name: &'static str,
    /// Whether the sort key is a number (else text). The partition key is text.
    pub numeric_sort_key: bool,
    /// Whether its stream carries new images.
    pub stream: bool,
    /// Whether items may expire by [`crate::keys::TTL`].
    pub ttl: bool,
}

/// All of them.
pub const TABLES: [TableDefinition; 3] = [
    TableDefinition { name: "ledger", numeric_sort_key: true, stream: true, ttl: false },
    TableDefinition { name: "identity", numeric_sort_key: false, stream: false, ttl: true },
    TableDefinition { name: "main", numeric_sort_key: false, stream: false, ttl: true },
];

impl Store {
    /// Creates the tables that do not exist yet: for embedded and test environments. In the cloud the template does.
    /// Streams are not asked for here: an embedded runner feeds the projector itself.
    ///
    /// # Errors
    /// DynamoDB's.
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        for table in &TABLES {
            let name = self.tables().name(table);
            self.create_table(table, name).await?;
        }
        Ok(())
    }

    async fn create_table(&self, table: &TableDefinition, name: &str) -> Result<(), StoreError> {
        let sort = if table.numeric_sort_key { ScalarAttributeType::N } else { ScalarAttributeType::S };
        let keys = [(crate::keys::PK, KeyType::Hash, ScalarAttributeType::S), (crate::keys::SK, KeyType::Range, sort)];
        let mut request = self.client().create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (attribute, key_type, scalar) in keys {
            let invalid = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Invalid(e.to_string());
            let key =
                KeySchemaElement::builder().attribute_name(attribute).key_type(key_type).build().map_err(invalid)?;
            let definition = AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(scalar)
                .build()
                .map_err(invalid)?;
            request = request.key_schema(key).attribute_definitions(definition);
        }
        match request.send().await {
            Ok(_) => {}
            Err(e) if e.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ResourceInUseException") => {
                return Ok(());
            }
            Err(e) => return Err(classify("CreateTable", &e)),
        }
        if table.ttl {
            let spec = TimeToLiveSpecification::builder().attribute_name(crate::keys::TTL).enabled(true).build();
            let spec = spec.map_err(|e| StoreError::Invalid(e.to_string()))?;
            let request = self.client().update_time_to_live().table_name(name).time_to_live_specification(spec);
            request.send().await.map_err(|e| classify("UpdateTimeToLive", &e))?;
        }
        Ok(())
    }
}
