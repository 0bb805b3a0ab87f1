//! `GET /admin/payments/parked` and `PUT /admin/payments/parked/{id}`: what processors reported and nobody could match, and what
//! an operator did about it. Nothing here moves money: credits and refunds have operations of their own.

use crate::acting::Acting;
use crate::fields::Note;
use api::{Admin, Kit, PageParams, Paged, Problem, Queries, read_cursor, write_cursor};
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use domain::Timestamp;
use domain::payment::Processor;
use garde::Validate;
use providers::is_object_id;
use serde::{Deserialize, Serialize};
use store::{Deal, Dealing, Parked, ParkedStatus, RevisedParked, parked_id};
use utoipa::ToSchema;

/// Which entries.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ParkedFilter {
    /// `open` (where it is missing) or `dealt_with`.
    #[serde(default)]
    #[garde(skip)]
    #[param(value_type = Option<String>, pattern = "^(open|dealt_with)$", default = "open")]
    status: ParkedStatus,
}

/// An object of a processor that was credited to nobody, or not wholly understood.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParkedRow {
    /// Its id here: the processor, `_`, and the object's own.
    #[schema(pattern = "^(stripe|paypal)_[A-Za-z0-9_-]+$", example = "stripe_pi_3Q1sample")]
    id: String,
    /// `stripe` or `paypal`.
    #[schema(pattern = "^(stripe|paypal)$")]
    processor: &'static str,
    /// The object's id at the processor: an intent, an order, a refund, a dispute; or of an event that names none.
    object: String,
    /// The payment it says it belongs to, or that led to it, where one is known.
    payment: Option<String>,
    /// The processor's events that told of it, oldest first: the first one and the newest 19. None where we asked by ourselves.
    events: Vec<String>,
    /// What does not fit, oldest first; the newest 20.
    reasons: Vec<String>,
    /// When it was first seen, RFC 3339.
    first_seen: String,
    /// When something new was reported of it last, RFC 3339; `null` where nothing was since it was first seen.
    told_again: Option<String>,
    /// `open` or `dealt_with`.
    #[schema(pattern = "^(open|dealt_with)$")]
    status: &'static str,
    /// Changes with the entry: whoever deals with it can say that this is what they looked at.
    version: u32,
    /// Who dealt with it last. It stays where something new opened it again.
    dealt_with: Option<DealtWith>,
}

/// Who dealt with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DealtWith {
    /// Who.
    by: String,
    /// When, RFC 3339.
    at: String,
    /// What they did about it.
    note: String,
}

/// That an entry was dealt with.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ParkedUpdate {
    /// Always `dealt_with`. Only news of the processor opens an entry again.
    #[schema(value_type = String, pattern = "^dealt_with$")]
    #[expect(dead_code, reason = "there is one status to set, and reading it is the check")]
    status: NewStatus,
    /// What was done about it, or why nothing was to be done.
    note: Note,
    /// The `version` that was looked at: it is refused where something was reported since. Without it, whatever is known now
    /// is dealt with.
    version: Option<u32>,
}

/// What an operator may set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NewStatus {
    DealtWith,
}

impl ParkedRow {
    fn new((entry, version): RevisedParked) -> Self {
        let dealt_with = |Dealing { by, at, note }: Dealing| DealtWith { by, at: at.to_string(), note };
        let events = entry.events().cloned().collect();
        let Parked { told, told_again, status, dealing, .. } = entry;
        Self {
            id: parked_id(told.processor, &told.object),
            processor: told.processor.as_str(),
            object: told.object,
            payment: told.payment,
            events,
            reasons: told.reasons,
            first_seen: told.at.to_string(),
            told_again: told_again.map(|at: Timestamp| at.to_string()),
            status: status.as_str(),
            version,
            dealt_with: dealing.map(dealt_with),
        }
    }
}

/// The one id of a path. A text that cannot be one names nothing: 404. Objects' ids may be longer than ours, so this is no
/// [`api::PathId`]; the alphabet is the same.
#[derive(Clone, Debug)]
pub struct ParkedId {
    processor: Processor,
    object: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ParkedId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| Problem::not_found())?;
        let (processor, object) = read_id(&text).ok_or_else(Problem::not_found)?;
        Ok(Self { processor, object: object.to_owned() })
    }
}

/// Undoes [`parked_id`].
fn read_id(id: &str) -> Option<(Processor, &str)> {
    let (processor, object) = id.split_once('_')?;
    Some((Processor::parse(processor)?, object)).filter(|(_, object)| is_object_id(object))
}

/// What processors reported and nobody could match: nothing was posted for it. By processor and object id. At most 1,000
/// entries are looked through for one page, which may therefore be short, or empty.
#[utoipa::path(
    get, path = "/admin/payments/parked", tag = "admin", operation_id = "admin_parked_payments",
    params(ParkedFilter, PageParams), responses((status = 200, body = Paged<ParkedRow>)), security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    Queries((filter, page)): Queries<(ParkedFilter, PageParams)>,
) -> Result<Json<Paged<ParkedRow>>, Problem> {
    let cursor: Option<String> = read_cursor(page.cursor.as_deref())?;
    let wrong = || Problem::parameter("cursor", "it is none that this list gave out");
    let after = cursor.as_deref().map(|id| read_id(id).ok_or_else(wrong)).transpose()?;
    let after = after.map(|(processor, object)| (processor, object.to_owned()));
    let found = kit.store.unmatched_list(Some(filter.status), after, page.rows()).await?;
    let next = found.next.map(|(processor, object)| parked_id(processor, &object));
    let next_cursor = next.as_ref().map(write_cursor).transpose()?;
    Ok(Json(Paged { data: found.data.into_iter().map(ParkedRow::new).collect(), next_cursor }))
}

/// Marks an entry as dealt with, and keeps who, when and what they did about it. It moves no money: give credits, take them
/// away or refund first, by the operations for that. It is open again as soon as the processor reports something new of it.
#[utoipa::path(
    put, path = "/admin/payments/parked/{id}", tag = "admin", operation_id = "admin_parked_payment_deal_with",
    params(("id" = String, Path, max_length = 107, pattern = "^(stripe|paypal)_[A-Za-z0-9_-]{1,100}$")),
    request_body = ParkedUpdate, responses((status = 200, body = ParkedRow)), security(("bearer" = ["admin"]))
)]
pub async fn deal_with(
    Acting(by): Acting,
    State(kit): State<Kit>,
    id: ParkedId,
    api::Json(body): api::Json<ParkedUpdate>,
) -> Result<Json<ParkedRow>, Problem> {
    let deal = Deal { processor: id.processor, object: &id.object, note: &body.note.0, seen: body.version };
    let dealt = kit.store.unmatched_deal(deal, &by).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(ParkedRow::new(dealt)))
}
