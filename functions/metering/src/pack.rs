//! Packing jobs into messages of at most 64 KB, a lane's jobs together.

use domain::job::{JOB_MESSAGE_VERSION, JobBody, JobMessage, LaneJobs, MAX_MESSAGE_BYTES};
use domain::plan::{PriceStep, Terms};
use domain::tenure::WalletId;
use domain::{Hour, Timestamp};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::{BTreeMap, HashMap};
use store::BillingSettings;

/// Bytes a lane's frame takes beside its jobs, and a message's beside its lanes and its settings.
const FRAME_BYTES: usize = 160;
/// What a job usually takes: a lane that does not fit by this measure starts a new message without trying.
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
    /// The first hour its jobs may bill: the settings' history goes back to here.
    earliest: Option<Hour>,
    /// What that history takes.
    history_bytes: usize,
    /// What everything else takes.
    bytes: usize,
}

/// How far a message was filled, to go back to.
struct Mark {
    lanes: usize,
    terms: usize,
    earliest: Option<Hour>,
    history_bytes: usize,
    bytes: usize,
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
            let others = self.message.mark();
            let mut packed = self.push_lane(&wallet, &jobs)?;
            if packed < jobs.len() && others.lanes > 0 {
                // It does not fit beside the others: it begins a message, so that it is split only where none holds it.
                self.message.back_to(&others);
                self.close_message()?;
                packed = self.push_lane(&wallet, &jobs)?;
            }
            while packed < jobs.len() {
                self.close_message()?;
                // An empty message takes one job at least; should it ever not, the run goes on without it.
                packed += self.push_lane(&wallet, jobs.get(packed..).unwrap_or_default())?.max(1);
            }
        }
        Ok(())
    }

    /// Adds jobs of a lane until the message is full. Returns how many.
    fn push_lane(&mut self, wallet: &WalletId, jobs: &[Collected]) -> Result<usize, serde_json::Error> {
        self.message.open_lane(wallet);
        for (packed, (body, steps)) in jobs.iter().enumerate() {
            let first_hour = body.known_from.unwrap_or(body.since);
            if self.message.push(body, steps, first_hour, &self.settings)? {
                continue;
            }
            let mut alone = Message::default();
            alone.open_lane(wallet);
            if alone.push(body, steps, first_hour, &self.settings)? {
                return Ok(packed);
            }
            // Too much for any message: without states and prices the biller parks it, and nobody else waits. Nothing is
            // billed by it, so it needs no history either.
            let bare = JobBody { states: Vec::new(), ..body.clone() };
            if !self.message.push(&bare, &[], self.through, &self.settings)? {
                return Ok(packed);
            }
        }
        Ok(jobs.len())
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
    fn push(
        &mut self,
        body: &JobBody,
        steps: &[PriceStep],
        first_hour: Hour,
        settings: &BillingSettings,
    ) -> Result<bool, serde_json::Error> {
        let before = self.mark();
        let mut body = body.clone();
        for step in steps {
            body.steps.push((step.from, self.intern(&step.terms)?));
        }
        let json = to_raw_value(&body)?;
        self.bytes += json.get().len() + 1;
        self.reach_back(first_hour, settings)?;
        if FRAME_BYTES + self.bytes + self.history_bytes > MAX_MESSAGE_BYTES {
            self.back_to(&before);
            return Ok(false);
        }
        if let Some(lane) = self.lanes.last_mut() {
            lane.jobs.push(json);
        }
        Ok(true)
    }

    /// The settings' history is told from the first hour of any job on: the older that is, the more of the message it takes.
    fn reach_back(&mut self, hour: Hour, settings: &BillingSettings) -> Result<(), serde_json::Error> {
        if self.earliest.is_none_or(|held| hour < held) {
            self.earliest = Some(hour);
            let (per, switch) = (settings.per.since(hour), settings.switch.since(hour));
            self.history_bytes = serde_json::to_vec(&per)?.len() + serde_json::to_vec(&switch)?.len();
        }
        Ok(())
    }

    fn mark(&self) -> Mark {
        let Self { lanes, terms, earliest, history_bytes, bytes, index_of: _ } = self;
        let (lanes, terms) = (lanes.len(), terms.len());
        Mark { lanes, terms, earliest: *earliest, history_bytes: *history_bytes, bytes: *bytes }
    }

    fn back_to(&mut self, mark: &Mark) {
        self.lanes.truncate(mark.lanes);
        self.terms.truncate(mark.terms);
        self.index_of.retain(|_, index| usize::from(*index) < mark.terms);
        (self.earliest, self.history_bytes, self.bytes) = (mark.earliest, mark.history_bytes, mark.bytes);
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
