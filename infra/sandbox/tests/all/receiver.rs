//! A receiver as simple as a right one can be, with all faults of webhooks on: it checks signatures, asks the API what is
//! true, and sweeps once for what was lost. It comes out at the truth, so the sandbox does not contradict itself.

use crate::support::{Shop, event, stripe_holds};
use sandbox::{Card, Chance, Config, Delivery, Processor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const PAYMENTS: usize = 150;
const WEBHOOK: &str = "5SB74927XH1234567";

#[derive(Default)]
struct Credits {
    by_payment: BTreeMap<String, i64>,
    refused: usize,
}

fn minor(value: &Value) -> i64 {
    value["value"].as_str().unwrap().replace('.', "").parse().unwrap()
}

impl Credits {
    async fn receive(&mut self, shop: &Shop, delivery: &Delivery) {
        let genuine = match delivery.processor {
            Processor::Stripe => stripe_holds(delivery, "whsec_sandbox", shop.now_ms.load(Ordering::Relaxed)),
            Processor::PayPal => shop.verified(delivery, &delivery.body, WEBHOOK).await == "SUCCESS",
        };
        assert_eq!(genuine, delivery.genuine);
        if !genuine {
            self.refused += 1;
            return;
        }
        let event = event(delivery);
        match delivery.processor {
            Processor::Stripe => {
                let object = &event["data"]["object"];
                let id = object["payment_intent"].as_str().or(object["id"].as_str()).unwrap();
                self.look_at_intent(shop, id).await;
            }
            Processor::PayPal => {
                if let Some(id) = event.pointer("/resource/supplementary_data/related_ids/order_id") {
                    self.look_at_order(shop, id.as_str().unwrap()).await;
                }
            }
        }
    }

    async fn look_at_intent(&mut self, shop: &Shop, id: &str) {
        let shown = shop.stripe_get(&format!("/v1/payment_intents/{id}?expand[]=latest_charge")).await;
        if shown.status == 200 && shown.text("/status") == "succeeded" && shown.text("/currency") == "usd" {
            let kept = shown.number("/amount_received") - shown.number("/latest_charge/amount_refunded");
            self.by_payment.insert(id.to_owned(), kept);
        }
    }

    async fn look_at_order(&mut self, shop: &Shop, id: &str) {
        let shown = shop.paypal_get(&format!("/v2/checkout/orders/{id}")).await;
        let payments = &shown.body["purchase_units"][0]["payments"];
        let capture = &payments["captures"][0]["amount"];
        if capture["currency_code"] == "USD" {
            let refunds = payments["refunds"].as_array().map(Vec::as_slice).unwrap_or_default();
            let kept = minor(capture) - refunds.iter().map(|refund| minor(&refund["amount"])).sum::<i64>();
            self.by_payment.insert(id.to_owned(), kept);
        }
    }
}

#[tokio::test]
async fn who_checks_and_asks_comes_out_at_the_truth() {
    // given every fault of webhooks, and of what the processors agree to
    let shop = Shop::with(Config { seed: 7, ..Config::default() }).await;
    shop.sandbox.tune(|knobs| {
        let webhooks = [
            &mut knobs.duplicate,
            &mut knobs.out_of_order,
            &mut knobs.delayed,
            &mut knobs.lost,
            &mut knobs.forged_signature,
            &mut knobs.forged_time,
            &mut knobs.forged_host,
            &mut knobs.unknown_object,
            &mut knobs.event_wrong_amount,
            &mut knobs.event_wrong_currency,
            &mut knobs.api_wrong_amount,
            &mut knobs.api_wrong_currency,
        ];
        webhooks.into_iter().for_each(|knob| *knob = Chance::Permille(150));
    });

    // when customers pay, and some are refunded
    let mut credits = Credits::default();
    let (mut intents, mut orders) = (Vec::new(), Vec::new());
    for turn in 0..PAYMENTS {
        let id = if turn % 3 == 0 {
            let (order, _) = shop.captured_order().await;
            orders.push(order.clone());
            order
        } else {
            let intent = shop.intent().await;
            shop.sandbox.pay_intent(&intent, if turn % 7 == 0 { Card::Declined } else { Card::Visa }).unwrap();
            intents.push(intent.clone());
            intent
        };
        if turn % 5 == 0 && shop.sandbox.captured().payments.iter().any(|payment| payment.id == id) {
            shop.sandbox.refund_from_dashboard(&id, Some(100)).unwrap();
        }
        for delivery in shop.mail().await {
            credits.receive(&shop, &delivery).await;
        }
    }
    assert!(shop.sandbox.lost() > 0 && credits.refused > 0);
    for id in &intents {
        credits.look_at_intent(&shop, id).await;
    }
    for id in &orders {
        credits.look_at_order(&shop, id).await;
    }

    // then every dollar that was captured is credited, once, and no other
    let truth = shop.sandbox.captured();
    let dollars = truth.payments.iter().filter(|payment| payment.currency == "USD");
    let expected: BTreeMap<_, _> = dollars.map(|payment| (payment.id.clone(), payment.kept())).collect();
    assert!(expected.len() > PAYMENTS / 2 && truth.kept("EUR") > 0);
    assert_eq!(credits.by_payment, expected);
}
