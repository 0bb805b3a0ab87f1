//! The yardstick: a bare loop that reads the newest item and puts the next one, with items of the same size on the same
//! store, through the same SDK, and nothing else.
#![expect(clippy::float_arithmetic, clippy::as_conversions, clippy::cast_precision_loss, reason = "only printed")]

use crate::system::{BILLERS, System};
use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use biller::LANES_AT_ONCE;
use std::time::Instant;

/// Items of the whole loop.
const ITEMS: usize = 20_000;

/// Pages per second of the bare loop, with as many chains at once as the billers work on.
pub async fn pages_per_second(system: &System, page_bytes: usize) -> anyhow::Result<f64> {
    // The identity table has text sort keys and is empty in a replay.
    let table = system.store.tables().identity.clone();
    let client = Client::new(&system.sdk);
    let chains = BILLERS * LANES_AT_ONCE;
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for chain in 0..chains {
        let (client, table) = (client.clone(), table.clone());
        tasks.spawn(async move { one_chain(&client, &table, chain, ITEMS / chains, page_bytes).await });
    }
    let mut written = 0;
    while let Some(task) = tasks.join_next().await {
        written += task?.context("the bare loop failed")?;
    }
    Ok(written as f64 / began.elapsed().as_secs_f64())
}

async fn one_chain(client: &Client, table: &str, chain: usize, items: usize, bytes: usize) -> anyhow::Result<usize> {
    let pk = AttributeValue::S(format!("BARE#{chain}"));
    let mut written = 0;
    for _ in 0..items {
        let newest = client
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", pk.clone())
            .scan_index_forward(false)
            .limit(1)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let Ok(newest) = newest else { continue };
        let seq =
            newest.items().first().and_then(|item| item.get("sk")?.as_s().ok()?.parse::<u64>().ok()).unwrap_or(0) + 1;
        let put = client
            .put_item()
            .table_name(table)
            .item("pk", pk.clone())
            .item("sk", AttributeValue::S(format!("{seq:08}")))
            .item("p", AttributeValue::B(Blob::new(vec![7; bytes])))
            .condition_expression("attribute_not_exists(pk)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        written += usize::from(put.is_ok());
    }
    Ok(written)
}
