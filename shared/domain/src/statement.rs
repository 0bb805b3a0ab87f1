//! A stretch of a lane's chain as an account: what it opened with, what was posted by kind and by server, what it
//! closed with.
//!
//! Owns: the sums, and the check that each page follows the one before. A page belongs to the month it was posted in:
//! the last hour of October is billed in November, and stands in November's statement. What a server's hours of a month
//! cost is [`crate::explain`]'s question. Does *not*: decide where a month begins on a chain, read anything.

use crate::Id;
use crate::money::Amount;
use crate::time::Timestamp;
use crate::verify::Fault;
use crate::wallet::{Kind, Page, page_hash, parse_adjust_reference};
use std::collections::BTreeMap;

/// A page, named so that anybody can find and check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub seq: u64,
    /// When it was posted.
    pub at: Timestamp,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Mark {
    /// Names a page.
    #[must_use]
    pub fn of(page: &Page) -> Self {
        Self { seq: page.seq, at: page.at, hash: page.hash }
    }
}

/// Checks that pages of one chain, told oldest first from any of them on, follow each other.
#[derive(Clone, Debug, Default)]
pub struct Links {
    last: Option<(u64, [u8; 32], Amount)>,
}

impl Links {
    /// Number, hash and balance follow from the page before. Cheap: the page's own hash is not computed.
    ///
    /// # Errors
    /// What does not follow.
    pub fn follow(&mut self, page: &Page) -> Result<(), Fault> {
        let fault =
            |what: &str| Err(Fault { place: format!("{} page {}", page.wallet, page.seq), what: what.to_owned() });
        let (seq, hash, balance) = match self.last {
            Some((seq, hash, balance)) => (seq + 1, hash, balance),
            None if page.seq == 1 => (1, [0; 32], Amount::ZERO),
            None => (page.seq, page.prev_hash, page.before),
        };
        if page.seq != seq {
            return fault("a page before it is missing");
        }
        if page.prev_hash != hash {
            return fault("prev_hash is not the hash of the page before");
        }
        if page.before != balance || page.before.checked_add(page.amount).ok() != Some(page.after) {
            return fault("before, amount and after do not add up");
        }
        self.last = Some((page.seq, page.hash, page.after));
        Ok(())
    }

    /// As [`Links::follow`]; and the page's hash is that of its content.
    ///
    /// # Errors
    /// What does not hold.
    pub fn prove(&mut self, page: &Page) -> Result<(), Fault> {
        self.follow(page)?;
        if page_hash(page) == page.hash {
            Ok(())
        } else {
            let place = format!("{} page {}", page.wallet, page.seq);
            Err(Fault { place, what: "the hash does not match the content".to_owned() })
        }
    }
}

/// What one server was charged on the pages of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerSum {
    /// Server-hours on lines.
    pub hours: u64,
    /// What the lines cost; positive.
    pub usage: Amount,
    /// Changes of the balance by adjustments; positive is a credit.
    pub adjustments: Amount,
}

/// The account of one lane over some pages.
#[derive(Clone, Debug, Default)]
pub struct LaneStatement {
    /// Balance before the first page.
    pub opening: Amount,
    /// Balance after the last.
    pub closing: Amount,
    /// How many pages.
    pub pages: u64,
    /// The first one.
    pub first: Option<Mark>,
    /// The last one.
    pub last: Option<Mark>,
    /// Changes of the balance by kind. They sum to `closing - opening`.
    pub kinds: BTreeMap<Kind, Amount>,
    /// By server. Usage less adjustments is what the kinds `usage` and `adjustment` say.
    pub servers: BTreeMap<Id, ServerSum>,
    links: Links,
}

impl LaneStatement {
    /// Nothing posted: it opens and closes with the balance of the page before.
    #[must_use]
    pub fn new(balance: Amount) -> Self {
        Self { opening: balance, closing: balance, ..Self::default() }
    }

    /// Takes in the next page, oldest first.
    ///
    /// # Errors
    /// It does not follow the page before: the statement would not be true.
    pub fn read(&mut self, page: &Page) -> Result<(), Fault> {
        self.links.follow(page)?;
        if self.first.is_none() {
            (self.first, self.opening) = (Some(Mark::of(page)), page.before);
        }
        (self.last, self.closing) = (Some(Mark::of(page)), page.after);
        self.pages += 1;
        let sum = self.kinds.entry(page.kind).or_default();
        *sum = *sum + page.amount;
        for line in &page.lines {
            let server = self.servers.entry(line.server.clone()).or_default();
            server.hours += u64::from(line.hours());
            server.usage = server.usage + line.amount;
        }
        let adjusted = page.reference.as_deref().filter(|_| page.kind == Kind::Adjustment);
        if let Some((server, ..)) = adjusted.and_then(parse_adjust_reference) {
            let server = self.servers.entry(server).or_default();
            server.adjustments = server.adjustments + page.amount;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Chain, Server, at, id, usd};
    use proptest::prelude::*;

    fn statement(pages: &[Page]) -> LaneStatement {
        let mut statement = LaneStatement::new(Amount::ZERO);
        pages.iter().for_each(|page| statement.read(page).unwrap());
        statement
    }

    #[test]
    fn a_page_that_does_not_follow_is_refused() {
        let mut chain = Chain::of("alice");
        chain.post(Kind::Payment, usd("10"), at(0, 0));
        chain.post(Kind::Payment, usd("5"), at(1, 0));
        chain.post(Kind::Refund, usd("-1"), at(2, 0));
        let [first, second, third] = chain.pages.as_slice() else { panic!("three pages") };
        assert!(Links::default().follow(third).is_ok(), "a stretch may begin anywhere");
        let mut links = Links::default();
        links.prove(first).unwrap();
        assert!(links.clone().follow(third).unwrap_err().what.contains("missing"));
        let forged = Page { amount: usd("6"), after: usd("16"), ..second.clone() };
        assert!(links.clone().follow(&forged).is_ok(), "the chain of numbers alone does not tell");
        assert!(links.clone().prove(&forged).unwrap_err().what.contains("content"));
        let forged = Page { before: usd("11"), ..second.clone() };
        assert!(links.clone().follow(&forged).unwrap_err().what.contains("add up"));
        let forged = Page { prev_hash: [7; 32], ..second.clone() };
        assert!(links.clone().follow(&forged).unwrap_err().what.contains("prev_hash"));
        let first_of_all = Page { prev_hash: [7; 32], ..first.clone() };
        assert!(Links::default().follow(&first_of_all).is_err());
    }

    #[test]
    fn an_adjustment_stands_with_its_server() {
        let mut chain = Chain::of("alice");
        let server = Server::new("srv", 0);
        chain.bill_to(&server, 6);
        let found = chain.recheck(&server.ends(at(2, 0)), 6);
        let statement = statement(&chain.pages);
        let sum = statement.servers[&id("srv")];
        assert_eq!((sum.hours, sum.adjustments), (6, found[0].amount));
        assert_eq!(statement.closing, sum.adjustments - sum.usage);
    }

    proptest! {
        /// Wherever a chain is cut, the parts close with what the next opens with, and all sums agree with the pages.
        #[test]
        fn parts_of_a_chain_agree_with_the_whole(
            steps in prop::collection::vec((0_u32..5, 0_usize..4, -9_000_000_i64..9_000_000), 1..30),
            cut in 0_usize..30,
        ) {
            let mut chain = Chain::of("alice");
            let servers = [Server::new("a", 0), Server::per_second("b", 0), Server::new("c", 3)];
            let kinds = [Kind::Payment, Kind::Refund, Kind::Admin, Kind::Purchase];
            let mut hour = 0;
            for (hours, kind, steps) in steps {
                hour += hours;
                for server in servers.iter().filter(|server| server.tenure.since < at(hour, 0).hour()) {
                    chain.bill_to(server, hour);
                }
                chain.post(kinds[kind], Amount::from_steps(steps), at(hour, 400));
            }
            let cut = cut.min(chain.pages.len());
            let (early, late) = chain.pages.split_at(cut);
            let (whole, early) = (statement(&chain.pages), statement(early));
            let mut rest = LaneStatement::new(early.closing);
            late.iter().for_each(|page| rest.read(page).unwrap());
            prop_assert_eq!((whole.opening, whole.closing), (Amount::ZERO, chain.balance()));
            prop_assert_eq!((rest.opening, rest.closing), (early.closing, whole.closing));
            prop_assert_eq!(early.pages + rest.pages, whole.pages);
            for part in [&early, &rest, &whole] {
                prop_assert_eq!(part.kinds.values().copied().sum::<Amount>(), part.closing - part.opening);
                let usage: Amount = part.servers.values().map(|server| server.usage).sum();
                prop_assert_eq!(-usage, part.kinds.get(&Kind::Usage).copied().unwrap_or_default());
            }
            let usage: Amount = whole.servers.values().map(|server| server.usage).sum();
            prop_assert_eq!(usage, chain.spent());
        }
    }
}
