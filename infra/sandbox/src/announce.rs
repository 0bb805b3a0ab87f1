//! An event on its way to the queue, and what befalls it there: repeated, late, lost, forged, lying.

use crate::config::Processor;
use crate::webhooks::{Event, Forgery, News, Waiting};
use crate::world::World;
use crate::{paypal, stripe};
use serde_json::Value;
use std::sync::Arc;

/// Sends an event on its way, through all that may befall it.
pub(crate) fn announce(world: &mut World, news: News<'_>) {
    let now_ms = world.now_ms();
    for forgery in forgeries(world) {
        let mut content = news.content.clone();
        lie(&mut content, &|amount| amount.saturating_mul(10), &|currency| currency.to_owned());
        put(world, now_ms, &news, content, Some(forgery));
    }
    if world.strikes(|knobs| &mut knobs.unknown_object) {
        let content = about_others(world, &news);
        put(world, now_ms, &news, content, None);
    }
    let mut content = news.content.clone();
    if world.strikes(|knobs| &mut knobs.event_wrong_amount) {
        lie(&mut content, &|amount| amount.saturating_mul(10), &|currency| currency.to_owned());
    }
    if world.strikes(|knobs| &mut knobs.event_wrong_currency) {
        lie(&mut content, &|amount| amount, &|currency| crate::world::other_currency(currency).to_owned());
    }
    if world.strikes(|knobs| &mut knobs.lost) {
        world.queue.lost += 1;
        return;
    }
    let mut due_ms = now_ms;
    if world.strikes(|knobs| &mut knobs.delayed) {
        due_ms = due_ms.saturating_add(world.knobs.delay_ms);
    }
    if world.strikes(|knobs| &mut knobs.out_of_order) {
        due_ms = due_ms.saturating_add(world.up_to(world.knobs.shuffle_ms));
    }
    let event = put(world, due_ms, &news, content, None);
    if world.strikes(|knobs| &mut knobs.duplicate) {
        let again_ms = due_ms.saturating_add(world.knobs.duplicate_after_ms);
        world.queue.put(again_ms, Waiting { event, forgery: None, attempt: 1 });
    }
}

/// Sends only what somebody else makes of the event.
pub(crate) fn announce_forgeries(world: &mut World, news: &News<'_>) {
    let now_ms = world.now_ms();
    for forgery in forgeries(world) {
        put(world, now_ms, news, news.content.clone(), Some(forgery));
    }
}

fn forgeries(world: &mut World) -> Vec<Forgery> {
    let mut forgeries = Vec::new();
    if world.strikes(|knobs| &mut knobs.forged_signature) {
        forgeries.push(Forgery::Signature);
    }
    if world.strikes(|knobs| &mut knobs.forged_time) {
        forgeries.push(Forgery::Time);
    }
    if world.strikes(|knobs| &mut knobs.forged_host) {
        forgeries.push(Forgery::Host);
    }
    forgeries
}

fn put(world: &mut World, due_ms: i64, news: &News<'_>, content: Value, forgery: Option<Forgery>) -> Arc<Event> {
    let (id, body) = match news.processor {
        Processor::Stripe => stripe::written(world, content),
        Processor::PayPal => paypal::written(world, content),
    };
    let event = Arc::new(Event { processor: news.processor, id, kind: news.kind.to_owned(), body });
    world.queue.put(due_ms, Waiting { event: Arc::clone(&event), forgery, attempt: 1 });
    event
}

/// The same event about objects nobody has heard of.
fn about_others(world: &mut World, news: &News<'_>) -> Value {
    let mut text = news.content.to_string();
    for object in &news.objects {
        let prefix = object.split_once('_').map_or(String::new(), |(prefix, _)| format!("{prefix}_"));
        let length = object.len() - prefix.len();
        let other = world.capital_id(&prefix, length);
        text = text.replace(object.as_str(), &other);
    }
    serde_json::from_str(&text).unwrap_or_default()
}

/// Changes every amount and currency in an event.
fn lie(value: &mut Value, amount: &dyn Fn(i64) -> i64, currency: &dyn Fn(&str) -> String) {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => return items.iter_mut().for_each(|item| lie(item, amount, currency)),
        _ => return,
    };
    let code = fields.get("currency_code").and_then(Value::as_str).unwrap_or("USD").to_owned();
    for (name, field) in fields.iter_mut() {
        let known = field.as_i64().zip(Some(name.as_str()).filter(|name| name.starts_with("amount")));
        if let Some((minor, _)) = known {
            *field = amount(minor).into();
        } else if let Some(text) = field.as_str().map(str::to_owned) {
            match name.as_str() {
                "currency" | "currency_code" => *field = currency(&text).into(),
                "value" => {
                    let minor = crate::money::parse(&text, &code);
                    *field = minor.map_or(text, |minor| crate::money::value(amount(minor), &code)).into();
                }
                _ => {}
            }
        } else {
            lie(field, amount, currency);
        }
    }
}
