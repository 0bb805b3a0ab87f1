//! Whole stories: facts come in, hours pass, pages come out.

mod bad_input;
mod biller;
mod broken;
mod closing;
mod deadline;
mod faults;
mod lanes;
mod late_facts;
mod ledger;
mod metering;
mod ministack;
mod outage;
mod packing;
mod prices;
mod redrive;
mod replay;
mod rollups;
mod settings;
mod transfers;
