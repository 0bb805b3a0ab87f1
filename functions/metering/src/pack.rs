//! Packing jobs into messages of at most 64 KB, a lane's jobs together.

use domain::job::{JOB_MESSAGE_VERSION, JobBody, JobMessage, LaneJobs, MAX_MESSAGE_BYTES};
use domain::plan::{PriceStep, Terms};
use domain::tenure::WalletId;
use domain::{Hour, Timestamp};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::{BTreeMap, HashMap};
use store::BillingSettings;

/// Bytes a lane's frame takes beside its jobs, and a message's beside its lanes.
const FRAME_BYTES: usize = 160;
/// What a job usually takes: a lane that does not fit by this measure starts a new message.
const USUAL_JOB_BYTES: usize = 130;

/// A job and the price steps it is rated with; its own `steps` are filled in when its message is known.
type Collected = (JobBody, Vec<PriceStep>);

/// Collects the jobs of a shard, in customer order.
pub struct Packer {
    through: Hour,
    issued_at: Timestamp,
    settings: BillingSettings,
    /// The lanes of the customer being collected.
    customer: BTreeMap<WalletId, Vec<Collected>>,
    message: Message,
    full: Vec<String>,
}

#[derive(Default)]
struct Message {
    lanes: Vec<LaneJobs>,
    terms: Vec<Box<RawValue>>,
    index_of: HashMap<Terms, u16>,
    bytes: usize,
    earliest: Option<Hour>,
}

impl Packer {
    /// An empty one, for jobs up to `through`.
    #[must_use]
    pub fn new(through: Hour, issued_at: Timestamp, settings: BillingSettings) -> Self {
        let (customer, message, full) = (BTreeMap::new(), Message::default(), Vec::new());
        Self { through, issued_at, settings, customer, message, full }
    }

    /// Adds a job. Jobs come in customer order.
    ///
    /// # Errors
    /// A value that cannot be written as JSON.
    pub fn push(&mut self, wallet: WalletId, body: JobBody, steps: Vec<PriceStep>) -> Result<(), serde_json::Error> {
        if self.customer.keys().next().is_some_and(|held| held.customer != wallet.customer) {
            self.flush_customer()?;
        }
        self.customer.entry(wallet).or_default().push((body, steps));
        Ok(())
    }

    /// The messages that are full by now.
    pub fn take_full(&mut self) -> Vec<String> {
        std::mem::take(&mut self.full)
    }

    /// All messages that are left.
    ///
    /// # Errors
    /// A value that cannot be written as JSON.
    pub fn finish(mut self) -> Result<Vec<String>, serde_json::Error> {
        self.flush_customer()?;
        self.close_message()?;
        Ok(self.full)
    }

    fn flush_customer(&mut self) -> Result<(), serde_json::Error> {
        for (wallet, jobs) in std::mem::take(&mut self.customer) {
            if self.message.bytes + FRAME_BYTES + jobs.len() * USUAL_JOB_BYTES > MAX_MESSAGE_BYTES {
                self.close_message()?;
            }
            self.message.open_lane(&wallet);
            for (body, steps) in jobs {
                if !self.message.push(&body, &steps)? {
                    self.close_message()?;
                    self.message.open_lane(&wallet);
                    if !self.message.push(&body, &steps)? {
                        // Too many states for any message: without them the biller parks it, and nobody else waits.
                        self.message.push(&JobBody { states: Vec::new(), ..body }, &steps)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn close_message(&mut self) -> Result<(), serde_json::Error> {
        let message = std::mem::take(&mut self.message);
        let earliest = message.earliest.unwrap_or(self.through);
        let lanes: Vec<LaneJobs> = message.lanes.into_iter().filter(|lane| !lane.jobs.is_empty()).collect();
        if !lanes.is_empty() {
            self.full.push(serde_json::to_string(&JobMessage {
                v: JOB_MESSAGE_VERSION,
                through: self.through,
                issued_at: self.issued_at,
                per: self.settings.per.since(earliest),
                switch: self.settings.switch.since(earliest),
                terms: message.terms,
                lanes,
            })?);
        }
        Ok(())
    }
}

impl Message {
    fn open_lane(&mut self, wallet: &WalletId) {
        let WalletId { customer, unit, lane } = wallet.clone();
        self.lanes.push(LaneJobs { customer, unit, lane, jobs: Vec::new() });
        self.bytes += FRAME_BYTES;
    }

    /// Whether the job fitted.
    fn push(&mut self, body: &JobBody, steps: &[PriceStep]) -> Result<bool, serde_json::Error> {
        let (known_terms, known_bytes) = (self.terms.len(), self.bytes);
        let mut body = body.clone();
        for step in steps {
            body.steps.push((step.from, self.intern(&step.terms)?));
        }
        let json = to_raw_value(&body)?;
        let bytes = self.bytes + json.get().len() + 1;
        if bytes > MAX_MESSAGE_BYTES - FRAME_BYTES {
            self.terms.truncate(known_terms);
            self.index_of.retain(|_, index| usize::from(*index) < known_terms);
            self.bytes = known_bytes;
            return Ok(false);
        }
        self.bytes = bytes;
        let first_hour = body.known_from.unwrap_or(body.since);
        self.earliest = Some(self.earliest.map_or(first_hour, |held| held.min(first_hour)));
        if let Some(lane) = self.lanes.last_mut() {
            lane.jobs.push(json);
        }
        Ok(true)
    }

    fn intern(&mut self, terms: &Terms) -> Result<u16, serde_json::Error> {
        if let Some(index) = self.index_of.get(terms) {
            return Ok(*index);
        }
        // A message holds far fewer terms than it has bytes, and it has 65,536.
        let index = u16::try_from(self.terms.len()).unwrap_or(u16::MAX);
        let json = to_raw_value(terms)?;
        self.bytes += json.get().len() + 1;
        self.terms.push(json);
        self.index_of.insert(terms.clone(), index);
        Ok(index)
    }
}
