//! `GET /admin/audit`: who changed what, from what to what, from where.

use api::{Admin, Kit, PageParams, Paged, Problem, Queries, read_cursor, write_cursor};
use axum::Json;
use axum::extract::State;
use domain::Month;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditFilter, AuditRecord};
use utoipa::ToSchema;

/// Longest position in the log, in bytes.
const MAX_POSITION_BYTES: usize = 128;

/// Which records.
#[derive(Debug, Deserialize, Validate, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordFilter {
    /// Those of this admin; `operator` is whoever has the command line.
    #[garde(length(min = 1, max = 64))]
    #[param(min_length = 1, max_length = 64)]
    actor: Option<String>,
    /// Those about this: `user/<id>`, `setting/<key>`, `payment/<id>`, `parked/<id>`, `run/<hour>`, `access_key/<name>` or
    /// `mail/<hash of the address>`.
    #[garde(length(min = 1, max = 128))]
    #[param(min_length = 1, max_length = 128)]
    object: Option<String>,
    /// Those that did this: `user.update`, `user.deactivate`, `credits.add`, `credits.remove`, `setting.set`, `payment.refund`,
    /// `parked.deal_with`, `billing.trigger`, `access_key.retire`, `mail.unsuppress`.
    #[garde(length(min = 1, max = 64))]
    #[param(min_length = 1, max_length = 64)]
    action: Option<String>,
    /// Of this month, `YYYY-MM`; of the one it is where it is missing.
    #[garde(length(max = 7))]
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")]
    month: Option<String>,
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    /// Its id.
    id: String,
    /// When, RFC 3339.
    at: String,
    /// Who.
    actor: String,
    /// What was done.
    action: String,
    /// To what.
    object: String,
    /// Why, where a reason is asked for.
    reason: Option<String>,
    /// What it was; only what changed. Of names of persons and companies only that there was one: the log outlives them.
    before: Option<Value>,
    /// What it is since.
    after: Option<Value>,
    /// From which address.
    address: String,
    /// In which request.
    request_id: String,
}

/// The audit log of a month, newest first.
///
/// With a filter at most 1,000 records are looked through for one page, which may therefore be short, or empty.
#[utoipa::path(
    get, path = "/admin/audit", tag = "admin", operation_id = "admin_audit", params(RecordFilter, PageParams),
    responses((status = 200, body = Paged<AuditRow>)), security(("bearer" = ["admin"]))
)]
pub async fn list(
    _: Admin,
    State(kit): State<Kit>,
    Queries((filter, page)): Queries<(RecordFilter, PageParams)>,
) -> Result<Json<Paged<AuditRow>>, Problem> {
    let month = match &filter.month {
        Some(text) => Month::parse(text).map_err(|_| Problem::parameter("month", "it is a month, like 2026-11"))?,
        None => kit.clock.now().hour().month(),
    };
    let position: Option<String> = read_cursor(page.cursor.as_deref())?;
    if position.as_ref().is_some_and(|position| position.is_empty() || position.len() > MAX_POSITION_BYTES) {
        return Err(Problem::parameter("cursor", "it is none that this list gave out"));
    }
    let wanted = AuditFilter { actor: filter.actor, object: filter.object, action: filter.action };
    let found = kit.store.audit_list(month, &wanted, position, page.rows()).await?;
    let next_cursor = found.next.as_ref().map(write_cursor).transpose()?;
    Ok(Json(Paged { data: found.rows.into_iter().map(AuditRow::new).collect(), next_cursor }))
}

impl AuditRow {
    fn new(record: AuditRecord) -> Self {
        let told = |value: Value| Some(value).filter(|value| !value.is_null());
        Self {
            id: record.id.into(),
            at: record.at.to_string(),
            actor: record.actor.into(),
            action: record.action,
            object: record.object,
            reason: record.reason,
            before: told(record.before),
            after: told(record.after),
            address: record.address,
            request_id: record.request_id,
        }
    }
}
