//! Reading a recorded trace and its price list, and turning it into facts. All rows are checked before anything is done.

use anyhow::{Context, bail};
use domain::plan::{Metering, Plan, PlanVersion, Price, Terms};
use domain::timeline::State;
use domain::trace::{PLAN_COLUMNS, RowError, TRACE_COLUMNS, TraceRow, parse_plan_row, parse_trace_row};
use domain::{Hour, Id, Timestamp, Unit};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use store::Fact;

/// Plans by flavor.
pub type Prices = BTreeMap<Id, Price>;

/// Something that happens at a second of the trace.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What.
    pub fact: Fact,
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if is_gzip { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) })
}

/// Reads a CSV file's columns by name, row by row.
fn rows<const N: usize, T>(
    path: &Path,
    columns: [&str; N],
    mut parse: impl FnMut([&str; N]) -> Result<T, RowError>,
) -> anyhow::Result<Vec<T>> {
    let mut reader = csv::Reader::from_reader(open(path)?);
    let place = path.display();
    let header = reader.headers().with_context(|| format!("{place}: the header cannot be read"))?.clone();
    let mut indexes = [0; N];
    for (slot, name) in indexes.iter_mut().zip(columns) {
        let index = header.iter().position(|column| column == name);
        *slot = index.with_context(|| format!("{place}: line 1: the column '{name}' is missing"))?;
    }
    let mut found = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).with_context(|| format!("{place}: line {}", found.len() + 2))? {
        let fields = indexes.map(|index| record.get(index).unwrap_or_default());
        let row = parse(fields).with_context(|| format!("{place}: line {}", found.len() + 2))?;
        found.push(row);
    }
    Ok(found)
}

/// Reads a price list.
///
/// # Errors
/// The file, line and field that is wrong.
pub fn read_prices(path: &Path) -> anyhow::Result<Prices> {
    let mut prices = Prices::new();
    for (flavor, price) in rows(path, PLAN_COLUMNS, parse_plan_row)? {
        if prices.insert(flavor.clone(), price).is_some() {
            bail!("{}: the flavor '{flavor}' stands twice", path.display());
        }
    }
    if prices.is_empty() {
        bail!("{}: it has no prices", path.display());
    }
    Ok(prices)
}

/// Reads a trace; every flavor must have a price.
///
/// # Errors
/// The file, line and field that is wrong.
pub fn read_trace(path: &Path, prices: &Prices) -> anyhow::Result<Vec<TraceRow>> {
    let mut seen: HashSet<Id> = HashSet::new();
    rows(path, TRACE_COLUMNS, |fields| {
        let row = parse_trace_row(fields)?;
        if !prices.contains_key(&row.flavor) {
            return Err(RowError { field: "flavor", what: format!("'{}' has no price", row.flavor) });
        }
        if !seen.insert(row.server.clone()) {
            return Err(RowError { field: "vm_id", what: format!("'{}' stands twice", row.server) });
        }
        Ok(row)
    })
}

/// The plans of a price list, in force since ever.
///
/// # Errors
/// A flavor whose name cannot name a version.
pub fn plans(prices: &Prices) -> anyhow::Result<Vec<Plan>> {
    let plan = |(flavor, price): (&Id, &Price)| -> anyhow::Result<Plan> {
        let terms = Terms {
            version: Id::new(&format!("{flavor}-v1"))?,
            price: *price,
            metering: Metering::Hourly,
            billable_states: None,
        };
        Ok(Plan { id: flavor.clone(), versions: vec![PlanVersion { from: Hour::EPOCH, terms }] })
    };
    prices.iter().map(plan).collect()
}

/// What happens before `end`, by time; a server's creation before its end.
#[must_use]
pub fn happenings(rows: &[TraceRow], start: Timestamp, end: Timestamp) -> Vec<Happening> {
    let mut found = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        let created = start.plus_secs(row.created_secs);
        if created >= end {
            continue;
        }
        found.push(Happening {
            at: created,
            fact: Fact::Registered {
                server: row.server.clone(),
                customer: row.customer.clone(),
                unit: Unit::Usd,
                plan: row.flavor.clone(),
                state: State::running(),
                at: created,
            },
        });
        if let Some(deleted) = row.deleted_secs.map(|secs| start.plus_secs(secs)).filter(|at| *at < end) {
            found.push(Happening { at: deleted, fact: Fact::Ended { server: row.server.clone(), at: deleted } });
        }
    }
    // Stable: a creation stands before an end in the same second.
    found.sort_by_key(|happening| happening.at);
    found
}
