//! Sending what waits, and trying again what was not taken.

use crate::config::Processor;
use crate::webhooks::{Delivery, Sent, Tally, Target, Waiting};
use crate::world::{Inner, Shared, World};
use crate::{paypal, stripe};
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// How long an endpoint may take.
const MOST_ANSWER_TIME: Duration = Duration::from_secs(10);
/// How many are sent at once in the background.
const BACKGROUND_WIDTH: usize = 8;
/// Bounds of the background's wait for the next event.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Where the doubling of the wait ends.
const MOST_DOUBLINGS: u32 = 10;

/// Which events are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// Those whose time has come.
    Now,
    /// All of them, in the order of their times.
    Ever,
}

/// Sends what is due, `width` at a time, until nothing is left. Ends: every event has a last try.
pub(crate) async fn drain(inner: &Inner, due: Due, width: usize) -> Tally {
    let mut tally = Tally::default();
    loop {
        let batch = take(inner, due, width.max(1));
        if batch.is_empty() {
            break;
        }
        let answers = join_all(batch.into_iter().map(|(waiting, delivery, target)| async move {
            let status = send(inner, &target, delivery.clone()).await;
            (waiting, delivery, status)
        }));
        for (waiting, delivery, status) in answers.await {
            settle(&mut inner.world(), &mut tally, waiting, delivery, status);
        }
    }
    tally.waiting = u64::try_from(inner.world().queue.waiting.len()).unwrap_or(u64::MAX);
    tally
}

/// Sends what falls due, for ever.
pub(crate) async fn in_background(shared: Shared) {
    let arrival = Arc::clone(&shared.world().queue.arrival);
    loop {
        drain(&shared, Due::Now, BACKGROUND_WIDTH).await;
        let wait = {
            let world = shared.world();
            let wait_ms = world.queue.next_ms().map(|due_ms| due_ms.saturating_sub(world.now_ms()));
            wait_ms.map_or(LONGEST_WAIT, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
        };
        tokio::select! {
            () = arrival.notified() => {}
            () = tokio::time::sleep(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)) => {}
        }
    }
}

fn take(inner: &Inner, due: Due, width: usize) -> Vec<(Waiting, Delivery, Target)> {
    let mut world = inner.world();
    let now_ms = world.now_ms();
    let ready = |(due_ms, _): &(i64, u64)| match due {
        Due::Now => *due_ms <= now_ms,
        Due::Ever => true,
    };
    let keys = world
        .queue
        .waiting
        .iter()
        .filter(|(key, waiting)| ready(key) && world.target(waiting.event.processor).is_some());
    let keys: Vec<(i64, u64)> = keys.map(|(key, _)| *key).take(width).collect();
    let mut batch = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(waiting) = world.queue.waiting.remove(&key) else { continue };
        let Some(target) = world.target(waiting.event.processor) else { continue };
        let delivery = delivery(&mut world, &waiting);
        batch.push((waiting, delivery, target));
    }
    batch
}

/// Signed afresh at each attempt, as the processors do.
fn delivery(world: &mut World, waiting: &Waiting) -> Delivery {
    let event = &waiting.event;
    let headers = match event.processor {
        Processor::Stripe => stripe::signed(world, event, waiting.forgery),
        Processor::PayPal => paypal::signed(world, event, waiting.forgery),
    };
    Delivery {
        processor: event.processor,
        event_id: event.id.clone(),
        event_type: event.kind.clone(),
        attempt: waiting.attempt,
        genuine: waiting.forgery.is_none(),
        headers,
        body: event.body.clone(),
    }
}

async fn send(inner: &Inner, target: &Target, delivery: Delivery) -> u16 {
    match target {
        Target::Call(call) => call(delivery).await,
        Target::Url(url) => {
            let request = inner.http.post(url).timeout(MOST_ANSWER_TIME);
            let request = delivery.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            request.body(delivery.body).send().await.map_or(0, |answer| answer.status().as_u16())
        }
    }
}

fn settle(world: &mut World, tally: &mut Tally, waiting: Waiting, delivery: Delivery, status: u16) {
    let Delivery { processor, event_id, event_type, attempt, genuine, .. } = delivery;
    world.queue.record(Sent { processor, event_id, event_type, attempt, genuine, status });
    if (200..300).contains(&status) {
        tally.accepted += 1;
        return;
    }
    tally.refused += 1;
    // Who forges does not insist.
    if !genuine {
        return;
    }
    if attempt >= world.config.most_tries {
        tally.abandoned += 1;
        return;
    }
    let wait_ms = world.config.backoff_ms.saturating_mul(1 << (attempt - 1).min(MOST_DOUBLINGS));
    let due_ms = world.now_ms().saturating_add(wait_ms);
    world.queue.put(due_ms, Waiting { attempt: attempt + 1, ..waiting });
}
