//! Stripe: payment intents, charges, refunds, disputes, customers and their cards, and the events about them.
//!
//! Owns the wire format and the rules that a caller can run into. Has no 3-D Secure, no captures by hand, no fees, no payouts.

mod books;
mod cards;
mod charging;
mod customers;
mod disputes;
mod error;
mod events;
mod intents;
mod objects;
mod refunds;

pub(crate) use books::{Books, DisputeStatus, Intent, IntentStatus};
pub use cards::Card;
pub(crate) use charging::{authenticate, pay};
pub(crate) use disputes::{close, open};
pub(crate) use error::StripeError;
pub(crate) use events::{signed, written};
pub(crate) use refunds::refund;

use crate::form::Form;
use crate::world::{Shared, World};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, StripeError>;

/// Every path of the API that is spoken here.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v1/payment_intents", post(intent_create).get(intent_list))
        .route("/v1/payment_intents/{id}", get(intent_show))
        .route("/v1/payment_intents/{id}/confirm", post(intent_confirm))
        .route("/v1/payment_intents/{id}/cancel", post(intent_cancel))
        .route("/v1/charges/{id}", get(charge_show))
        .route("/v1/refunds", post(refund_create).get(refund_list))
        .route("/v1/refunds/{id}", get(refund_show))
        .route("/v1/disputes", get(dispute_list))
        .route("/v1/disputes/{id}", get(dispute_show))
        .route("/v1/customers", post(customer_create))
        .route("/v1/customers/{id}", get(customer_show))
        .route("/v1/customers/{id}/payment_methods", get(customer_methods))
        .route("/v1/payment_methods", get(method_list))
        .route("/v1/payment_methods/{id}", get(method_show))
        .route("/v1/payment_methods/{id}/detach", post(method_detach))
        .route_layer(from_fn_with_state(shared.clone(), crate::gate::stripe))
}

/// Whether the caller has the key and speaks forms.
pub(crate) fn admit(world: &World, parts: &Parts, body: &Bytes) -> Result<(), StripeError> {
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given.strip_prefix("Bearer ") != Some(world.config.stripe.secret_key.as_str()) {
        return Err(StripeError::unauthorised(given.is_empty()));
    }
    let content = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if parts.method == Method::POST && !body.is_empty() && !content.starts_with("application/x-www-form-urlencoded") {
        return Err(StripeError::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any \
             questions, we can help at https://support.stripe.com/.",
        ));
    }
    Ok(())
}

fn query(RawQuery(query): RawQuery) -> Form {
    Form::parse(&query.unwrap_or_default())
}

async fn intent_create(State(shared): State<Shared>, body: String) -> Answer {
    intents::create(&mut shared.world(), &Form::parse(&body)).map(Json)
}

async fn intent_list(State(shared): State<Shared>, raw: RawQuery) -> Answer {
    intents::list(&shared.world(), &query(raw)).map(Json)
}

async fn intent_show(State(shared): State<Shared>, Path(id): Path<String>, raw: RawQuery) -> Answer {
    intents::show(&shared.world(), &id, &query(raw)).map(Json)
}

async fn intent_confirm(State(shared): State<Shared>, Path(id): Path<String>, body: String) -> Answer {
    intents::confirm(&mut shared.world(), &id, &Form::parse(&body)).map(Json)
}

async fn intent_cancel(State(shared): State<Shared>, Path(id): Path<String>, body: String) -> Answer {
    intents::cancel(&mut shared.world(), &id, &Form::parse(&body)).map(Json)
}

async fn charge_show(State(shared): State<Shared>, Path(id): Path<String>, raw: RawQuery) -> Answer {
    let world = shared.world();
    let charge = world.stripe.charge(&id)?;
    Ok(Json(objects::charge(&world, charge, query(raw).list("expand").contains(&"refunds"))))
}

async fn refund_create(State(shared): State<Shared>, body: String) -> Answer {
    refunds::create(&mut shared.world(), &Form::parse(&body)).map(Json)
}

async fn refund_list(State(shared): State<Shared>, raw: RawQuery) -> Answer {
    refunds::list(&shared.world(), &query(raw)).map(Json)
}

async fn refund_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let refund = world.stripe.refunds.get(&id).ok_or_else(|| StripeError::missing("refund", &id, "id"))?;
    Ok(Json(objects::refund(refund)))
}

async fn dispute_list(State(shared): State<Shared>, raw: RawQuery) -> Answer {
    disputes::list(&shared.world(), &query(raw)).map(Json)
}

async fn dispute_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let world = shared.world();
    let dispute = world.stripe.disputes.get(&id).ok_or_else(|| StripeError::missing("dispute", &id, "dispute"))?;
    Ok(Json(objects::dispute(dispute)))
}

async fn customer_create(State(shared): State<Shared>, body: String) -> Answer {
    customers::create(&mut shared.world(), &Form::parse(&body)).map(Json)
}

async fn customer_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    Ok(Json(objects::customer(shared.world().stripe.customer(&id, "id")?)))
}

async fn customer_methods(State(shared): State<Shared>, Path(id): Path<String>, raw: RawQuery) -> Answer {
    customers::methods(&shared.world(), &id, &query(raw)).map(Json)
}

async fn method_list(State(shared): State<Shared>, raw: RawQuery) -> Answer {
    let form = query(raw);
    let customer = form.get("customer").ok_or_else(|| StripeError::required("customer"))?;
    customers::methods(&shared.world(), customer, &form).map(Json)
}

async fn method_show(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    Ok(Json(objects::method(shared.world().stripe.method(&id)?)))
}

async fn method_detach(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    customers::detach(&mut shared.world(), &id).map(Json)
}

/// A list as Stripe pages it: `limit` from 1 to 100, `starting_after` an id. `rows` come newest first.
fn page(form: &Form, url: &str, rows: Vec<(String, Value)>) -> Result<Value, StripeError> {
    const USUAL: usize = 10;
    const MOST: usize = 100;
    let limit = match form.get("limit") {
        None => USUAL,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| StripeError::integer("limit", text))?,
    };
    let begin = match form.get("starting_after") {
        None => 0,
        Some(after) => rows.iter().position(|(id, _)| id == after).map_or(rows.len(), |at| at + 1),
    };
    let has_more = rows.len() > begin + limit;
    let data: Vec<Value> = rows.into_iter().skip(begin).take(limit).map(|(_, value)| value).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}
