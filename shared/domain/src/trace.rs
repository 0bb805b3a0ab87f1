//! The rows of a recorded trace: `vm_id, tenant_id, flavor, vcpu, memory_gib, created_s, deleted_s`, and of its price list.

use crate::Id;
use crate::plan::Price;

/// Columns a trace must have.
pub const TRACE_COLUMNS: [&str; 5] = ["vm_id", "tenant_id", "flavor", "created_s", "deleted_s"];
/// Columns a price list must have.
pub const PLAN_COLUMNS: [&str; 2] = ["flavor", "monthly_price_usd"];

/// One machine of a trace; times in seconds from the trace's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// The server.
    pub server: Id,
    /// The customer.
    pub customer: Id,
    /// The plan.
    pub flavor: Id,
    /// When it appeared.
    pub created_secs: i64,
    /// When it went, if it did.
    pub deleted_secs: Option<i64>,
}

/// A field of a row that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {what}")]
pub struct RowError {
    /// Which column.
    pub field: &'static str,
    /// In words.
    pub what: String,
}

fn wrong(field: &'static str, what: impl std::fmt::Display) -> RowError {
    RowError { field, what: what.to_string() }
}

/// Reads one trace row, fields in the order of [`TRACE_COLUMNS`].
///
/// # Errors
/// The field that is wrong.
pub fn parse_trace_row(fields: [&str; 5]) -> Result<TraceRow, RowError> {
    let [server, customer, flavor, created, deleted] = fields;
    let seconds = |field, text: &str| match text.parse::<i64>() {
        Ok(secs) if (0..=10_000_000_000).contains(&secs) => Ok(secs),
        _ => Err(wrong(field, format!("'{text}' is not a number of seconds"))),
    };
    let created_secs = seconds("created_s", created)?;
    let deleted_secs = if deleted.is_empty() { None } else { Some(seconds("deleted_s", deleted)?) };
    if deleted_secs.is_some_and(|deleted| deleted < created_secs) {
        return Err(wrong("deleted_s", format!("{deleted} lies before created_s {created}")));
    }
    Ok(TraceRow {
        server: Id::new(server).map_err(|e| wrong("vm_id", e))?,
        customer: Id::new(customer).map_err(|e| wrong("tenant_id", e))?,
        flavor: Id::new(flavor).map_err(|e| wrong("flavor", e))?,
        created_secs,
        deleted_secs,
    })
}

/// Reads one row of the price list, fields in the order of [`PLAN_COLUMNS`].
///
/// # Errors
/// The field that is wrong.
pub fn parse_plan_row(fields: [&str; 2]) -> Result<(Id, Price), RowError> {
    let [flavor, price] = fields;
    let flavor = Id::new(flavor).map_err(|e| wrong("flavor", e))?;
    let price = Price::parse(price).map_err(|e| wrong("monthly_price_usd", e))?;
    Ok((flavor, price))
}
