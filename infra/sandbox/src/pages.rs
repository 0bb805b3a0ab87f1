//! The pages a customer would see: a form to pay a payment intent, a form to approve an order, and a list of both.
//!
//! They stand in for Stripe's payment element and PayPal's checkout, so that the whole flow can be clicked through.

use crate::actions::{Action, act};
use crate::form::Form;
use crate::money;
use crate::paypal::{OrderStatus, Wallet};
use crate::stripe::{Card, IntentStatus};
use crate::world::Shared;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

/// Most rows of the list.
const MOST_ROWS: usize = 20;

const CARDS: [(&str, Card, &str); 5] = [
    ("visa", Card::Visa, "4242: pays"),
    ("authentication_required", Card::AuthenticationRequired, "3184: the bank asks, each time"),
    ("declined", Card::Declined, "0002: declined"),
    ("insufficient_funds", Card::InsufficientFunds, "9995: no money"),
    ("declined_later", Card::DeclinedLater, "0341: pays now, declined when charged later"),
];

const WALLETS: [(&str, Wallet, &str); 3] = [
    ("pays", Wallet::Pays, "pays"),
    ("pending", Wallet::Pending, "stays pending"),
    ("declined", Wallet::Declined, "is declined"),
];

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(list))
        .route("/pay/{id}", get(pay_form).post(pay))
        .route("/checkoutnow", get(approve_form).post(approve))
}

fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
         <style>body{{font:16px system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}}label{{display:block;margin:.5rem 0}}\
         td{{padding:.2rem .8rem .2rem 0}}button{{padding:.4rem 1rem}}</style><h1>{title}</h1>{content}\
         <p><small>Sandbox: no money moves.</small></p></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (status, headers, html).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn problem(error: &anyhow::Error) -> Response {
    page(StatusCode::UNPROCESSABLE_ENTITY, "Not possible", &format!("<p>{}</p>", escape(&error.to_string())))
}

/// Only to where a browser may go.
fn redirect(target: Option<&str>, pairs: &[(&str, &str)]) -> Option<Response> {
    let mut url = reqwest::Url::parse(target?).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    url.query_pairs_mut().extend_pairs(pairs);
    Some(Redirect::to(url.as_str()).into_response())
}

async fn list(State(shared): State<Shared>) -> Response {
    let world = shared.world();
    let intents = world.stripe.intents.newest().take(MOST_ROWS).map(|intent| {
        let value = money::value(intent.amount, &intent.currency.to_ascii_uppercase());
        let (id, currency, status) = (&intent.id, &intent.currency, intent.status.name());
        format!("<tr><td><a href=\"/pay/{id}\">{id}</a><td>{value} {currency}<td>{status}")
    });
    let orders = world.paypal.orders.newest().take(MOST_ROWS).map(|order| {
        let value = money::value(order.amount, &order.currency);
        let (id, currency, status) = (&order.id, &order.currency, order.status.name());
        format!("<tr><td><a href=\"/checkoutnow?token={id}\">{id}</a><td>{value} {currency}<td>{status}")
    });
    let rows: String = intents.chain(orders).collect();
    page(StatusCode::OK, "Payments", &format!("<table>{rows}</table>"))
}

async fn pay_form(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let world = shared.world();
    let Some(intent) = world.stripe.intents.get(&id) else {
        return page(StatusCode::NOT_FOUND, "No such payment", "");
    };
    let value = money::value(intent.amount, &intent.currency.to_ascii_uppercase());
    let title = format!("Pay {value} {}", escape(&intent.currency.to_ascii_uppercase()));
    let content = match intent.status {
        IntentStatus::Succeeded => "<p>Paid.</p>".to_owned(),
        IntentStatus::Canceled => "<p>Cancelled.</p>".to_owned(),
        IntentStatus::RequiresAction => "<form method=post><p>Your bank asks: is it you?</p>\
             <button name=passes value=yes>Yes</button> <button name=passes value=no>No</button></form>"
            .to_owned(),
        IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation => {
            let failed = intent.failure.as_ref().map(|(decline, _)| format!("<p>{}</p>", escape(decline.message)));
            let cards = CARDS.iter().enumerate().map(|(at, (name, _, text))| {
                let checked = if at == 0 { " checked" } else { "" };
                format!("<label><input type=radio name=card value={name}{checked}> {text}</label>")
            });
            let cards: String = cards.collect();
            format!("{}<form method=post>{cards}<button>Pay</button></form>", failed.unwrap_or_default())
        }
    };
    page(StatusCode::OK, &title, &content)
}

async fn pay(State(shared): State<Shared>, Path(id): Path<String>, body: String) -> Response {
    let form = Form::parse(&body);
    let action = match form.get("passes") {
        Some(passes) => Action::Authenticate { id: id.clone(), passes: passes == "yes" },
        None => {
            let card = CARDS.iter().find(|(name, _, _)| form.get("card") == Some(name)).map(|(_, card, _)| *card);
            let Some(card) = card else { return page(StatusCode::BAD_REQUEST, "No such card", "") };
            Action::Pay { id: id.clone(), card }
        }
    };
    let mut world = shared.world();
    if let Err(error) = act(&mut world, action) {
        return problem(&error);
    }
    let here = || Redirect::to(&format!("/pay/{id}")).into_response();
    let Some(intent) = world.stripe.intents.get(&id).filter(|intent| intent.status == IntentStatus::Succeeded) else {
        return here();
    };
    let pairs = [
        ("payment_intent", id.as_str()),
        ("payment_intent_client_secret", &intent.client_secret),
        ("redirect_status", "succeeded"),
    ];
    redirect(intent.return_url.as_deref(), &pairs).unwrap_or_else(here)
}

async fn approve_form(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let form = Form::parse(&query.unwrap_or_default());
    let world = shared.world();
    let Some(order) = form.get("token").and_then(|id| world.paypal.orders.get(id)) else {
        return page(StatusCode::NOT_FOUND, "No such order", "");
    };
    let title = format!("Pay {} {}", money::value(order.amount, &order.currency), order.currency);
    let content = match order.status {
        OrderStatus::Completed => "<p>Paid.</p>".to_owned(),
        OrderStatus::Created | OrderStatus::PayerActionRequired | OrderStatus::Approved => {
            let wallets = WALLETS.iter().enumerate().map(|(at, (name, _, text))| {
                let checked = if at == 0 { " checked" } else { "" };
                format!("<label><input type=radio name=wallet value={name}{checked}> My wallet {text}</label>")
            });
            let wallets: String = wallets.collect();
            format!(
                "<form method=post>{wallets}<button>Approve</button> <button name=cancel value=yes>Cancel</button></form>"
            )
        }
    };
    page(StatusCode::OK, &title, &content)
}

async fn approve(State(shared): State<Shared>, RawQuery(query): RawQuery, body: String) -> Response {
    let (address, form) = (Form::parse(&query.unwrap_or_default()), Form::parse(&body));
    let mut world = shared.world();
    let Some(order) = address.get("token").and_then(|id| world.paypal.orders.get(id)).cloned() else {
        return page(StatusCode::NOT_FOUND, "No such order", "");
    };
    let here = || Redirect::to(&format!("/checkoutnow?token={}", order.id)).into_response();
    if form.get("cancel").is_some() {
        return redirect(order.cancel_url.as_deref(), &[("token", &order.id)]).unwrap_or_else(here);
    }
    let wallet = WALLETS.iter().find(|(name, _, _)| form.get("wallet") == Some(name)).map(|(_, wallet, _)| *wallet);
    let action = Action::Approve { id: order.id.clone(), wallet: wallet.unwrap_or_default() };
    if let Err(error) = act(&mut world, action) {
        return problem(&error);
    }
    let pairs = [("token", order.id.as_str()), ("PayerID", "SANDBOXPAYER1")];
    redirect(order.return_url.as_deref(), &pairs).unwrap_or_else(here)
}
