//! What a replay took. Rates and ratios are for people: floats are allowed here, and touch no money.
#![expect(clippy::float_arithmetic, clippy::as_conversions, clippy::cast_precision_loss, reason = "only printed")]

use crate::check::{Proof, Totals};
use crate::system::System;
use domain::Unit;
use std::time::Duration;
use store::{Area, PAGE_ATTRIBUTE, StoreError, encode_page};

/// Time by part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub registry: Duration,
    pub metering: Duration,
    pub billing: Duration,
    pub projector: Duration,
}

impl Figures {
    /// Bytes of a usual page: the mean of the first stretch of the ledger.
    pub async fn page_bytes(&self, system: &System) -> Result<usize, StoreError> {
        let (pages, _) = system.store.ledger_scan(None).await?;
        let mut bytes = 0;
        for page in &pages {
            let item = encode_page(page)?;
            bytes += item.get(PAGE_ATTRIBUTE).and_then(|v| v.as_b().ok()).map_or(0, |blob| blob.as_ref().len());
        }
        Ok(bytes / pages.len().max(1))
    }

    /// Prints all of it.
    pub fn print(&self, system: &System, proof: &Proof, totals: &Totals, bare: f64) {
        let hours = proof.server_hours.max(1) as f64;
        let seconds = |time: Duration| time.as_secs_f64().max(1e-9);
        let all = self.registry + self.metering + self.billing + self.projector;
        println!("tenants              {}", totals.len());
        println!("server-hours         {}", proof.server_hours);
        println!("amount               {} USD", proof.amount.display(Unit::Usd));
        println!("pages                {} ({:.4} per server-hour)", proof.pages, proof.pages as f64 / hours);
        for (name, area) in [
            ("ledger", Area::Ledger),
            ("registry", Area::Registry),
            ("roll-ups", Area::Rollups),
            ("other", Area::Other),
        ] {
            let units = system.store.capacity().units(area);
            println!(
                "units, {name:<13} {:.4} write and {:.4} read per server-hour ({} writing and {} reading calls)",
                units.write_tenths as f64 / 10.0 / hours,
                units.read_tenths as f64 / 10.0 / hours,
                units.writes,
                units.reads,
            );
        }
        for (name, time) in [
            ("registry", self.registry),
            ("metering", self.metering),
            ("billing", self.billing),
            ("projector", self.projector),
        ] {
            println!("time, {name:<14} {:.1} s", seconds(time));
        }
        println!("billing alone        {:.0} server-hours/s", hours / seconds(self.billing));
        println!("in all               {:.0} server-hours/s", hours / seconds(all));
        let pages = proof.pages as f64 / seconds(self.billing);
        println!("pages                {pages:.0}/s, {:.2} of a bare query-and-put loop ({bare:.0}/s)", pages / bare);
        match peak_memory_mib() {
            Some(mib) => println!("peak memory          {mib} MiB"),
            None => println!("peak memory          not known on this system"),
        }
    }
}

/// The process's largest resident size, where `/proc` tells it.
pub fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}
