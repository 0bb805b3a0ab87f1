//! The tables, defined once for every environment: `template.yaml` must say the same (a guard test compares them).

use crate::capacity::Area;
use crate::client::Store;
use crate::error::{StoreError, classify};
use crate::item::{n, number, s};
use crate::{expr, keys};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TimeToLiveSpecification,
};

/// Version of keys and encodings. A data directory or tables of a newer one are refused.
pub const SCHEMA_VERSION: u32 = 1;

/// Attribute of the version item.
const VERSION: &str = "v";

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
    /// Whether the tables are of a version that is known here. One read; it also opens the connection that the first request
    /// would have to wait for.
    ///
    /// # Errors
    /// [`StoreError::Newer`]; DynamoDB's.
    pub async fn schema_check(&self) -> Result<(), StoreError> {
        let item = self.get(Area::Other, keys::SCHEMA.to_owned(), keys::SCHEMA_VERSION.to_owned()).await?;
        match item.as_ref().and_then(|item| number(item, VERSION)) {
            Some(found) if found > SCHEMA_VERSION => Err(StoreError::Newer { found, known: SCHEMA_VERSION }),
            _ => Ok(()),
        }
    }

    /// Checks the version and notes ours, so that an older release refuses to work on what this one writes.
    ///
    /// # Errors
    /// As [`Store::schema_check`].
    pub async fn schema_claim(&self) -> Result<(), StoreError> {
        let request = self
            .client()
            .update_item()
            .table_name(&self.tables().main)
            .key(keys::PK, s(keys::SCHEMA))
            .key(keys::SK, s(keys::SCHEMA_VERSION))
            .update_expression(expr::SCHEMA_CLAIM)
            .condition_expression(expr::SCHEMA_NOT_NEWER)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":v", n(SCHEMA_VERSION))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match request.send().await {
            Ok(answer) => {
                self.capacity().wrote(Area::Other, answer.consumed_capacity.as_slice());
                Ok(())
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let found = failed.item().and_then(|item| number(item, VERSION)).unwrap_or(u32::MAX);
                    Err(StoreError::Newer { found, known: SCHEMA_VERSION })
                }
                _ => Err(classify("UpdateItem", &error)),
            },
        }
    }

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
        let keys = [(keys::PK, KeyType::Hash, ScalarAttributeType::S), (keys::SK, KeyType::Range, sort)];
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
            let spec = TimeToLiveSpecification::builder().attribute_name(keys::TTL).enabled(true).build();
            let spec = spec.map_err(|e| StoreError::Invalid(e.to_string()))?;
            let request = self.client().update_time_to_live().table_name(name).time_to_live_specification(spec);
            request.send().await.map_err(|e| classify("UpdateTimeToLive", &e))?;
        }
        Ok(())
    }
}
