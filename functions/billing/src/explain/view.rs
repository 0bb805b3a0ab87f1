//! How an explanation is shown: every figure as text, with the page it stands on.

use crate::counted::Counted;
use api::{show as text, transaction_id};
use domain::Unit;
use domain::explain::{Correction, ExplainedLine, Origin, Place, Source, Total};
use serde::Serialize;
use utoipa::ToSchema;

/// A page of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageView {
    /// As `/billing/transactions/{id}` takes it.
    transaction: String,
    /// Its lane.
    lane: u16,
    /// Its number.
    seq: u64,
    /// Its hash.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// When it was posted.
    #[schema(format = DateTime)]
    posted_at: String,
}

/// One hour of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HourView {
    /// Its start.
    #[schema(format = DateTime)]
    hour: String,
    /// Counted in the month before it.
    n_before: u32,
    /// Counted in the month after it.
    n_after: u32,
    /// Its part of the line's amount.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$")]
    amount: String,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineView {
    /// First hour.
    #[schema(format = DateTime)]
    from: String,
    /// The hour after the last.
    #[schema(format = DateTime)]
    to: String,
    /// Hours between them.
    hours: u32,
    /// What `n` counts: `hour`, or `second`.
    #[schema(pattern = "^(hour|second)$")]
    counts: &'static str,
    /// Counted in the month before it; `null` where only an earlier answer's pages tell.
    n_before: Option<u32>,
    /// Counted in the month after it.
    n_after: u32,
    /// Effective monthly price, unrounded.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    price: String,
    /// Hours a month of price is spread over.
    per: u16,
    /// The plan version, where its price is known to be this one.
    price_version: Option<String>,
    /// Whose price it is: `server`, `customer` or `plan`; as `price_version`.
    price_source: Option<&'static str>,
    /// The price before the discount; as `price_version`.
    list_price: Option<String>,
    /// The customer's discount in percent, where there was one.
    discount_percent: Option<String>,
    /// How its amount comes about.
    formula: String,
    /// Whether the month's price is reached with it.
    cap_reached: bool,
    /// What it cost.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,6}$")]
    amount: String,
    /// Of price and amount: `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Its amount hour by hour.
    by_hour: Vec<HourView>,
    /// Where it stands.
    page: PageView,
}

/// What a later page changed about hours of the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrectionView {
    /// `adjustment`: a fact came late. `reversal`: a page is undone.
    #[serde(rename = "type")]
    #[schema(pattern = "^(adjustment|reversal)$")]
    kind: &'static str,
    /// First hour.
    #[schema(format = DateTime)]
    from: String,
    /// The hour after the last.
    #[schema(format = DateTime)]
    to: String,
    /// Seconds each of these hours counts from then on; `null` for a reversal.
    seconds: Option<u32>,
    /// Change of the balance: positive is a credit.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    amount: String,
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Transactions of this answer that it corrects.
    corrects: Vec<String>,
    /// Where it stands.
    page: PageView,
}

/// The sums of an answer, in one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TotalView {
    /// `usd` or `token`.
    #[schema(pattern = "^(usd|token)$")]
    unit: &'static str,
    /// Sum of the lines.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    charged: String,
    /// Sum of the corrections: positive is a credit.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    corrected: String,
    /// `charged` less `corrected`.
    #[schema(pattern = r"^-?[0-9]+\.[0-9]{2,6}$")]
    cost: String,
}

impl PageView {
    pub fn of(place: &Place) -> Self {
        Self {
            transaction: transaction_id(&place.wallet, place.mark.seq),
            lane: place.wallet.lane,
            seq: place.mark.seq,
            hash: hex::encode(place.mark.hash),
            posted_at: place.mark.at.to_string(),
        }
    }
}

impl LineView {
    pub fn of(explained: &ExplainedLine, origin: Option<Origin>) -> Self {
        let (line, unit) = (&explained.line, explained.place.wallet.unit);
        let counted = Counted::of(line.metering, [Some(line.secs_after), explained.secs_before].into_iter().flatten());
        let by_hour = explained.hours().into_iter().map(|hour| HourView {
            hour: hour.hour.to_string(),
            n_before: counted.n(hour.secs_before),
            n_after: counted.n(hour.secs_after),
            amount: text(hour.amount, unit),
        });
        let source = |source: Source| match source {
            Source::Server => "server",
            Source::Customer => "customer",
            Source::Plan => "plan",
        };
        Self {
            from: line.from.to_string(),
            to: line.to.to_string(),
            hours: line.hours(),
            counts: counted.as_str(),
            n_before: explained.secs_before.map(|secs| counted.n(secs)),
            n_after: counted.n(line.secs_after),
            price: line.price.display(unit),
            per: line.per,
            price_source: origin.as_ref().map(|origin| source(origin.source)),
            list_price: origin.as_ref().map(|origin| origin.list.display(unit)),
            price_version: origin.as_ref().map(|origin| origin.version.to_string()),
            discount_percent: origin.and_then(|origin| origin.discount),
            formula: explained.formula(unit),
            cap_reached: explained.cap_reached(),
            amount: text(line.amount, unit),
            unit: unit.as_str(),
            by_hour: by_hour.collect(),
            page: PageView::of(&explained.place),
        }
    }
}

impl CorrectionView {
    pub fn of(correction: &Correction) -> Self {
        let (place, unit) = (&correction.place, correction.place.wallet.unit);
        Self {
            kind: correction.kind.as_str(),
            from: correction.from.to_string(),
            to: correction.to.to_string(),
            seconds: correction.secs,
            amount: text(correction.amount, unit),
            unit: unit.as_str(),
            corrects: correction.corrects.iter().map(|seq| transaction_id(&place.wallet, *seq)).collect(),
            page: PageView::of(place),
        }
    }
}

impl TotalView {
    pub fn of(unit: Unit, total: Total) -> Self {
        Self {
            unit: unit.as_str(),
            charged: text(total.charged, unit),
            corrected: text(total.corrected, unit),
            cost: text(total.cost(), unit),
        }
    }
}
