//! Taking in facts: read what is known of the servers, apply in memory, write all of it or nothing.

use super::{
    Fact, FactOutcome, Locator, PRICE_NOTICE_SECS, PRUNE_ABOVE_STATES, RECHECK_SECS, Recheck, TenureDoc, active_key,
};
use crate::capacity::Area;
use crate::client::Store;
use crate::error::StoreError;
use crate::item::{document, read_document};
use crate::keys;
use crate::lanes::Lanes;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::plan::RateStep;
use domain::timeline::{State, Timeline};
use domain::{Hour, Id, Timestamp, Unit};
use std::collections::{BTreeMap, HashMap};

/// Servers of one write.
const SERVERS_PER_WRITE: usize = 30;
/// Actions of one DynamoDB transaction.
const MAX_ACTIONS: usize = 100;
/// Billed hours whose states are kept when a tenure is pruned: late facts come within days.
const KEPT_HOURS: u32 = 72;
/// A fact told this shortly before its hour ends may be written after metering has read the hour.
const LATE_MARGIN_SECS: i64 = 30;
/// Tries of one write against others that change the same servers.
const MAX_TRIES: usize = 6;

/// Where a tenure was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    New,
    Active(u32),
    Closed(u32),
}

struct Slot {
    doc: TenureDoc,
    origin: Origin,
    dirty: bool,
}

/// All that is known of one server.
#[derive(Default)]
struct Known {
    locator: Option<(Locator, u32)>,
    locator_dirty: bool,
    /// Newest last; at most the newest and the one before it are loaded.
    tenures: Vec<Slot>,
}

type LaneKey = (Id, Unit);

/// The lanes of the customers who get a server in this write.
#[derive(Default)]
struct LaneBook(HashMap<LaneKey, (Lanes, Option<u32>, bool)>);

impl Store {
    /// Takes in facts, in order per server. The same fact twice, late or out of order ends up the same.
    ///
    /// Costs: one write per changed server where one fact comes alone; transactions of up to 30 servers otherwise.
    ///
    /// # Errors
    /// DynamoDB's, or a conflict that did not end; facts before it may have been applied, and may be sent again.
    pub async fn fleet_apply(&self, facts: &[Fact], now: Timestamp) -> Result<Vec<FactOutcome>, StoreError> {
        let mut by_server: BTreeMap<&Id, Vec<usize>> = BTreeMap::new();
        for (index, fact) in facts.iter().enumerate() {
            by_server.entry(fact.server()).or_default().push(index);
        }
        // Servers in the order of their customers, where facts name them, share their lanes' write.
        let mut servers: Vec<Vec<usize>> = by_server.into_values().collect();
        servers.sort_by_key(|indexes| indexes.iter().find_map(|i| facts.get(*i).and_then(customer_of)));
        let mut outcomes = vec![FactOutcome::Unchanged; facts.len()];
        let mut work: Vec<Vec<Vec<usize>>> = servers.chunks(SERVERS_PER_WRITE).map(<[_]>::to_vec).collect();
        while let Some(chunk) = work.pop() {
            let indexes: Vec<usize> = chunk.iter().flatten().copied().collect();
            let own: Vec<&Fact> = indexes.iter().filter_map(|i| facts.get(*i)).collect();
            match self.apply_chunk(&own, now).await? {
                Some(found) => {
                    for (index, outcome) in indexes.into_iter().zip(found) {
                        if let Some(slot) = outcomes.get_mut(index) {
                            *slot = outcome;
                        }
                    }
                }
                None if chunk.len() > 1 => work.extend(chunk.chunks(chunk.len().div_ceil(2)).map(<[_]>::to_vec)),
                None => return Err(StoreError::Conflict("the server is being changed by others all the time")),
            }
        }
        Ok(outcomes)
    }

    /// `None`: too many actions, or a conflict that did not end; the caller tries smaller chunks.
    async fn apply_chunk(&self, facts: &[&Fact], now: Timestamp) -> Result<Option<Vec<FactOutcome>>, StoreError> {
        for _ in 0..MAX_TRIES {
            let mut known = match self.load_servers(facts).await {
                Err(StoreError::Conflict(_)) => continue,
                loaded => loaded?,
            };
            let mut lanes = self.load_lanes(facts, &known).await?;
            let mut outcomes = Vec::with_capacity(facts.len());
            for fact in facts {
                let server = known.entry(fact.server().clone()).or_default();
                outcomes.push(server.apply(fact, &mut lanes, now));
            }
            self.prune(&mut known).await?;
            let actions = self.actions(&known, &lanes)?;
            if actions.len() > MAX_ACTIONS {
                return Ok(None);
            }
            match self.write(actions).await {
                Ok(()) => return Ok(Some(outcomes)),
                Err(StoreError::Conflict(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    async fn load_servers(&self, facts: &[&Fact]) -> Result<HashMap<Id, Known>, StoreError> {
        let mut known: HashMap<Id, Known> = facts.iter().map(|f| (f.server().clone(), Known::default())).collect();
        let locator_keys = known.keys().map(|id| (keys::server(id), keys::SERVER_NOW.to_owned())).collect();
        let mut wanted: Vec<(Id, Id, Hour)> = Vec::new();
        for item in self.get_many(Area::Registry, locator_keys).await? {
            let (locator, rev) = read_document::<Locator>(&item)?;
            let server = crate::item::text(&item, keys::PK).and_then(|pk| pk.strip_prefix("SERVER#")).map(Id::new);
            let Some(Ok(server)) = server else { continue };
            wanted.extend(locator.before.iter().map(|(customer, since)| (server.clone(), customer.clone(), *since)));
            wanted.push((server.clone(), locator.customer.clone(), locator.since));
            known.entry(server).or_default().locator = Some((locator, rev));
        }
        let active = wanted.iter().map(|(server, customer, since)| active_key(customer, server, *since)).collect();
        let mut found: HashMap<(Id, Hour), Slot> = HashMap::new();
        for item in self.get_many(Area::Registry, active).await? {
            let (doc, rev) = read_document::<TenureDoc>(&item)?;
            found.insert((doc.server.clone(), doc.since), Slot { doc, origin: Origin::Active(rev), dirty: false });
        }
        let missing = wanted.iter().filter(|(server, _, since)| !found.contains_key(&(server.clone(), *since)));
        let closed = missing.map(|(server, _, since)| (keys::server(server), keys::closed_tenure(*since))).collect();
        for item in self.get_many(Area::Registry, closed).await? {
            let (doc, rev) = read_document::<TenureDoc>(&item)?;
            found.insert((doc.server.clone(), doc.since), Slot { doc, origin: Origin::Closed(rev), dirty: false });
        }
        for (server, _, since) in wanted {
            // A tenure that is in neither place was moved between the two reads.
            let slot = found.remove(&(server.clone(), since)).ok_or(StoreError::Conflict("a tenure is being moved"))?;
            known.entry(server).or_default().tenures.push(slot);
        }
        Ok(known)
    }

    /// The lanes of customers who may get a server by these facts, or get one back.
    async fn load_lanes(&self, facts: &[&Fact], known: &HashMap<Id, Known>) -> Result<LaneBook, StoreError> {
        let mut wanted: Vec<LaneKey> = Vec::new();
        for fact in facts {
            let tenures = known.get(fact.server()).map_or(&[][..], |k| &k.tenures);
            match fact {
                Fact::Registered { customer, unit, .. } => wanted.push((customer.clone(), *unit)),
                // The server may be registered by a fact beside it: its unit is not known yet.
                Fact::Transferred { customer, .. } => {
                    wanted.extend([Unit::Usd, Unit::Token].map(|unit| (customer.clone(), unit)));
                }
                Fact::StateChanged { .. } | Fact::PriceChanged { .. } | Fact::Ended { .. } => {}
            }
            let closed = tenures.iter().filter(|slot| matches!(slot.origin, Origin::Closed(_)));
            wanted.extend(closed.map(|slot| (slot.doc.customer.clone(), slot.doc.unit)));
        }
        wanted.sort();
        wanted.dedup();
        let mut book: HashMap<LaneKey, (Lanes, Option<u32>, bool)> =
            wanted.iter().map(|key| (key.clone(), (Lanes::default(), None, false))).collect();
        let keys = wanted.iter().map(|(customer, unit)| (keys::lanes(customer), unit.as_str().to_owned())).collect();
        for item in self.get_many(Area::Registry, keys).await? {
            let (lanes, rev) = read_document::<Lanes>(&item)?;
            let customer = crate::item::text(&item, keys::PK).and_then(|pk| pk.strip_prefix("LANES#")).map(Id::new);
            let unit = crate::item::text(&item, keys::SK).and_then(Unit::parse);
            if let (Some(Ok(customer)), Some(unit)) = (customer, unit) {
                book.insert((customer, unit), (lanes, Some(rev), false));
            }
        }
        Ok(LaneBook(book))
    }

    /// Forgets state changes that are long billed, by a consistently read `billed_through`.
    async fn prune(&self, known: &mut HashMap<Id, Known>) -> Result<(), StoreError> {
        for slot in known.values_mut().flat_map(|k| &mut k.tenures) {
            let doc = &mut slot.doc;
            if !slot.dirty || doc.timeline.states().len() <= PRUNE_ABOVE_STATES || doc.recheck.is_some() {
                continue;
            }
            let head = self.wallet_head(&doc.wallet(), true).await?;
            if let Some(meter) = head.as_ref().and_then(|page| page.meter(&doc.server, doc.since)) {
                let cut = meter.counter.through.minus(KEPT_HOURS).max(doc.since);
                doc.timeline.prune_before(cut);
                doc.known_from = Some(cut);
            }
        }
        Ok(())
    }

    fn actions(&self, known: &HashMap<Id, Known>, lanes: &LaneBook) -> Result<Vec<Write>, StoreError> {
        let mut writes = Vec::new();
        for (server, known) in known {
            for slot in known.tenures.iter().filter(|slot| slot.dirty) {
                let key = slot.doc.active_key();
                match slot.origin {
                    Origin::New => writes.push(Write::Put(slot.doc.item(key, 1)?, None)),
                    Origin::Active(rev) => writes.push(Write::Put(slot.doc.item(key, rev + 1)?, Some(rev))),
                    Origin::Closed(rev) => {
                        let (pk, sk) = slot.doc.closed_key();
                        writes.push(Write::Delete(pk, sk, rev));
                        writes.push(Write::Put(slot.doc.item(key, rev + 1)?, None));
                    }
                }
            }
            if known.locator_dirty
                && let Some((locator, rev)) = &known.locator
            {
                let old = (*rev > 0).then_some(*rev);
                let item = document(keys::server(server), keys::SERVER_NOW.to_owned(), rev + 1, locator)?;
                writes.push(Write::Put(item, old));
            }
        }
        for ((customer, unit), (lanes, rev, dirty)) in &lanes.0 {
            if *dirty {
                let item = document(keys::lanes(customer), unit.as_str().to_owned(), rev.unwrap_or(0) + 1, lanes)?;
                writes.push(Write::Put(item, *rev));
            }
        }
        Ok(writes)
    }

    async fn write(&self, mut writes: Vec<Write>) -> Result<(), StoreError> {
        match (writes.pop(), writes.is_empty()) {
            (None, _) => Ok(()),
            // A single put costs half of what it costs in a transaction.
            (Some(Write::Put(item, rev)), true) => self.put(Area::Registry, item, rev).await,
            (Some(last), _) => {
                writes.push(last);
                let actions: Result<Vec<TransactWriteItem>, StoreError> = writes
                    .into_iter()
                    .map(|write| match write {
                        Write::Put(item, rev) => self.put_action(item, rev),
                        Write::Delete(pk, sk, rev) => self.delete_action(pk, sk, rev),
                    })
                    .collect();
                self.transact(Area::Registry, actions?).await
            }
        }
    }
}

enum Write {
    Put(crate::item::Item, Option<u32>),
    Delete(String, String, u32),
}

fn customer_of(fact: &Fact) -> Option<&Id> {
    match fact {
        Fact::Registered { customer, .. } | Fact::Transferred { customer, .. } => Some(customer),
        Fact::StateChanged { .. } | Fact::PriceChanged { .. } | Fact::Ended { .. } => None,
    }
}

impl LaneBook {
    fn assign(&mut self, customer: &Id, unit: Unit, now: Timestamp) -> u16 {
        let entry = self.0.entry((customer.clone(), unit)).or_default();
        entry.2 = true;
        entry.0.assign(now.hour())
    }

    fn reopen(&mut self, doc: &TenureDoc) {
        let entry = self.0.entry((doc.customer.clone(), doc.unit)).or_default();
        entry.2 = true;
        entry.0.reopen(doc.lane);
    }
}

impl Slot {
    /// Marks the tenure changed; one that was closed is open again.
    fn touch(&mut self, lanes: &mut LaneBook) {
        if matches!(self.origin, Origin::Closed(_)) && !self.dirty {
            lanes.reopen(&self.doc);
            self.doc.closed_at = None;
        }
        self.dirty = true;
    }

    /// Hours from `hour` on look different now; if they have ended, some may be billed.
    fn note_late(&mut self, hour: Hour, now: Timestamp) {
        if hour < now.plus_secs(LATE_MARGIN_SECS).hour() && self.origin != Origin::New {
            let from = self.doc.recheck.map_or(hour, |held| held.from.min(hour));
            self.doc.recheck = Some(Recheck { from, until: now.plus_secs(RECHECK_SECS) });
        }
    }
}

impl Known {
    fn apply(&mut self, fact: &Fact, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        match fact {
            Fact::Registered { server, customer, unit, plan, state, at } => {
                let doc = TenureDoc {
                    server: server.clone(),
                    customer: customer.clone(),
                    unit: *unit,
                    lane: 0,
                    since: at.hour(),
                    known_from: None,
                    plan: plan.clone(),
                    rates: Vec::new(),
                    timeline: Timeline::new(*at, state.clone()),
                    recheck: None,
                    closed_at: None,
                };
                self.register(doc, *at, lanes, now)
            }
            Fact::StateChanged { state, at, .. } => self.set_state(*at, state, lanes, now),
            Fact::PriceChanged { price, from, .. } => {
                self.set_price(RateStep { from: *from, price: *price }, lanes, now)
            }
            Fact::Ended { at, .. } => self.end(*at, lanes, now),
            Fact::Transferred { customer, at, .. } => self.transfer(customer, *at, lanes, now),
        }
    }

    fn register(&mut self, mut doc: TenureDoc, at: Timestamp, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        if let Some(Slot { doc: held, .. }) = self.tenures.last() {
            if held.customer == doc.customer && held.unit == doc.unit && held.timeline.start() == at {
                return FactOutcome::Unchanged;
            }
            match (held.timeline.end(), held.timeline.end_hour()) {
                // The hour a tenure ends in is its own: the next one begins after it.
                (Some(end), Some(end_hour)) if at >= end => doc.since = doc.since.max(end_hour).max(held.since.plus(1)),
                (Some(end), _) => {
                    return FactOutcome::Rejected(format!("server '{}' ended at {end}, after {at}", doc.server));
                }
                (None, _) => {
                    return FactOutcome::Rejected(format!(
                        "server '{}' is already registered to '{}' since {}",
                        doc.server,
                        held.customer,
                        held.timeline.start()
                    ));
                }
            }
        }
        doc.lane = lanes.assign(&doc.customer, doc.unit, now);
        self.locate(&doc, None);
        self.tenures.push(Slot { doc, origin: Origin::New, dirty: true });
        FactOutcome::Applied
    }

    fn locate(&mut self, doc: &TenureDoc, transferred_at: Option<Timestamp>) {
        let before = self.tenures.last().map(|slot| (slot.doc.customer.clone(), slot.doc.since));
        let rev = self.locator.as_ref().map_or(0, |(_, rev)| *rev);
        let locator = Locator { customer: doc.customer.clone(), since: doc.since, before, transferred_at };
        self.locator = Some((locator, rev));
        self.locator_dirty = true;
    }

    /// The tenure a fact at `at` belongs to: the newest that had begun, else the oldest known.
    fn index_at(&self, at: Timestamp) -> Option<usize> {
        // A pruned timeline begins later than its tenure.
        let is_pruned = |doc: &TenureDoc| doc.known_from.is_some();
        let begins = |doc: &TenureDoc| if is_pruned(doc) { doc.since.start() } else { doc.timeline.start() };
        let begun = self.tenures.iter().rposition(|slot| begins(&slot.doc) <= at);
        begun.or(if self.tenures.is_empty() { None } else { Some(0) })
    }

    fn set_state(&mut self, at: Timestamp, state: &State, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        let Some(index) = self.index_at(at) else { return FactOutcome::Unknown };
        let Some(slot) = self.tenures.get_mut(index) else { return FactOutcome::Unchanged };
        match slot.doc.timeline.set_state(at, state.clone()) {
            Err(e) => return FactOutcome::Rejected(e.to_string()),
            Ok(false) => return FactOutcome::Unchanged,
            Ok(true) => {}
        }
        slot.note_late(at.hour(), now);
        slot.touch(lanes);
        let end = slot.doc.timeline.end();
        let held = slot.doc.timeline.states().last().map_or_else(|| state.clone(), |(_, held)| held.clone());
        // A transfer takes the state over as it was then.
        if let Some(next) = self.tenures.get_mut(index + 1)
            && next.doc.timeline.start() > at
            && end == Some(next.doc.timeline.start())
            && next.doc.known_from.is_none()
            && next.doc.timeline.first_state() != Some(&held)
        {
            next.doc.timeline.set_first_state(held);
            next.note_late(next.doc.since, now);
            next.touch(lanes);
        }
        FactOutcome::Applied
    }

    fn set_price(&mut self, step: RateStep, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        let Some(slot) = self.tenures.last_mut() else { return FactOutcome::Unknown };
        if slot.doc.rates.contains(&step) {
            return FactOutcome::Unchanged;
        }
        let earliest = now.plus_secs(PRICE_NOTICE_SECS);
        if step.from.start() < earliest {
            let first = earliest.next_full_hour();
            return FactOutcome::Rejected(format!("a price change takes effect at {first} at the earliest"));
        }
        slot.doc.rates.retain(|held| held.from != step.from);
        let index = slot.doc.rates.partition_point(|held| held.from < step.from);
        slot.doc.rates.insert(index, step);
        slot.touch(lanes);
        FactOutcome::Applied
    }

    fn end(&mut self, at: Timestamp, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        let Some(index) = self.index_at(at) else { return FactOutcome::Unknown };
        // The hours of a next tenure are its own.
        let next_since = self.tenures.get(index + 1).map(|next| next.doc.since.start()).filter(|since| *since < at);
        let Some(slot) = self.tenures.get_mut(index) else { return FactOutcome::Unchanged };
        let old = slot.doc.timeline.end();
        // What is pruned is billed, and long past.
        let pruned_to = slot.doc.known_from.map(|_| slot.doc.timeline.start());
        let at = pruned_to.map_or(at, |first| at.max(first));
        let at = next_since.map_or(at, |since| at.min(since));
        match slot.doc.timeline.set_end(at) {
            Err(e) => return FactOutcome::Rejected(e.to_string()),
            Ok(false) => return FactOutcome::Unchanged,
            Ok(true) => {}
        }
        slot.note_late(old.map_or(at.hour(), |old| old.hour().min(at.hour())), now);
        slot.touch(lanes);
        // The server is gone before a transfer came into force: the next owner never had it.
        if let Some(next) = self.tenures.get_mut(index + 1)
            && old == Some(next.doc.timeline.start())
            && next.doc.timeline.start() > at
            && let Some((_, state)) = next.doc.timeline.states().first().cloned()
            && let Ok(timeline) = Timeline::from_parts(vec![(at, state)], Some(at))
        {
            next.doc.timeline = timeline;
            next.note_late(next.doc.since, now);
            next.touch(lanes);
        }
        FactOutcome::Applied
    }

    fn transfer(&mut self, customer: &Id, at: Timestamp, lanes: &mut LaneBook, now: Timestamp) -> FactOutcome {
        // One that is told late does not reach back: hours that have begun stay with who had them.
        let hour = at.max(now).next_full_hour();
        let Some(slot) = self.tenures.last_mut() else { return FactOutcome::Unknown };
        let told_before = self.locator.as_ref().is_some_and(|(locator, _)| locator.transferred_at >= Some(at));
        if slot.doc.customer == *customer || told_before {
            return FactOutcome::Unchanged;
        }
        if slot.doc.timeline.end().is_some() {
            return FactOutcome::Rejected(format!("server '{}' has ended", slot.doc.server));
        }
        let start = hour.start().max(slot.doc.timeline.start().plus_secs(1)).next_full_hour();
        if let Err(e) = slot.doc.timeline.set_end(start.start()) {
            return FactOutcome::Rejected(e.to_string());
        }
        slot.touch(lanes);
        let state = slot.doc.timeline.states().last().map_or_else(State::running, |(_, state)| state.clone());
        let mut doc = TenureDoc {
            customer: customer.clone(),
            since: start,
            known_from: None,
            rates: Vec::new(),
            timeline: Timeline::new(start.start(), state),
            recheck: None,
            closed_at: None,
            ..slot.doc.clone()
        };
        doc.lane = lanes.assign(customer, doc.unit, now);
        self.locate(&doc, Some(at));
        self.tenures.push(Slot { doc, origin: Origin::New, dirty: true });
        FactOutcome::Applied
    }
}
