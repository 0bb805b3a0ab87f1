//! Buying credits, from the processors' stand-ins to the ledger: whoever tells first, twice, late or never, each captured dollar
//! is credited once.

mod crashes;
mod disputes;
mod flood;
mod lost_answers;
mod parked;
mod refunds;
mod tellers;
mod top_up;
mod webhooks;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cashier::{Cashier, CashierConfig, Purchase, Started};
use domain::payment::{Payment, Processor, Status};
use domain::{Amount, Id};
use providers::{Endpoint, HttpBounds, Queue};
use sandbox::{Card, Config, Delivery, Sandbox, Target};
use skymeter::chaos::Chaos;
use skymeter::shop::stand_ins;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use store::{By, Unmatched};
use tests::{Answer, TestApp, id, send};

/// Steps of one dollar.
pub const USD: i64 = 1_000_000;
/// Payments of one sweep.
const SWEEP: u16 = 100;
/// How long PayPal keeps an order nobody captured.
const ORDER_SECS: i64 = 72 * 3_600;
/// Where forged webhooks come from: 10.0.0.0 and up, each from another address.
const FORGERS: u32 = 0x0A00_0000;
/// Where the processors' own come from.
const PROCESSOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Mails received at once.
const MAILS: usize = 10;

/// An app with a cashier, and the processors' stand-ins. Webhooks come to the function URLs, when they are delivered.
pub struct Counter {
    pub app: TestApp,
    pub sandbox: Sandbox,
    pub cashier: Cashier,
    pub urls: Router,
}

/// What the counter offers calls: quick to give up and to try again, so that faults do not take real time.
fn bounds() -> HttpBounds {
    HttpBounds { try_timeout: Duration::from_secs(5), pause: Duration::from_millis(2), ..HttpBounds::default() }
}

impl Counter {
    pub async fn new() -> Self {
        Self::with(None).await
    }

    pub async fn with(chaos: Option<Arc<Chaos>>) -> Self {
        let app = TestApp::with(None, chaos).await;
        let clock = app.time.clock();
        let ms = move || clock.now().secs() * 1_000;
        let mut config = Config { clock: sandbox::Clock::from_fn(ms), ..Config::default() };
        // Longer than ours, so that it is us who do not capture.
        config.paypal.order_secs = ORDER_SECS;
        let sandbox = Sandbox::start(config).await.unwrap();
        let cashier = Cashier::new(cashier_config(&app, sandbox.url())).unwrap();
        let kit = api::Kit::new(::webhooks::AREA, app.system.store.clone(), app.time.clock());
        let urls = ::webhooks::router(kit, cashier.clone());
        for (processor, path) in [(sandbox::Processor::Stripe, "/stripe"), (sandbox::Processor::PayPal, "/paypal")] {
            let (urls, forgers) = (urls.clone(), Arc::new(AtomicU32::new(FORGERS)));
            sandbox.send_webhooks_to(
                processor,
                Target::call(move |delivery: Delivery| {
                    let urls = urls.clone();
                    let forger = Ipv4Addr::from_bits(forgers.fetch_add(1, Ordering::Relaxed));
                    let from = if delivery.genuine { PROCESSOR } else { IpAddr::V4(forger) };
                    async move { post_from(from, &urls, path, &delivery.headers, &delivery.body).await.status }
                }),
            );
        }
        Self { app, sandbox, cashier, urls }
    }

    /// Begins to buy `cents` worth of credits.
    pub async fn buy(&self, customer: &str, processor: Processor, cents: i64, key: &str) -> Payment {
        self.started(customer, processor, cents, key).await.unwrap().payment
    }

    pub async fn started(
        &self,
        customer: &str,
        processor: Processor,
        cents: i64,
        key: &str,
    ) -> Result<Started, cashier::CashierError> {
        let (customer, amount) = (id(customer), Amount::from_steps(cents * USD / 100));
        let purchase = Purchase { customer, processor, amount, save_method: false, key: Some(key.to_owned()) };
        self.cashier.buy(purchase).await
    }

    /// The customer pays at the processor's page. At PayPal that is an approval: the capture is ours to make.
    pub fn pay(&self, payment: &Payment) {
        let object = payment.object.as_deref().unwrap();
        match payment.processor {
            Processor::Stripe => self.sandbox.pay_intent(object, Card::Visa).unwrap(),
            Processor::Paypal => self.sandbox.approve_order(object).unwrap(),
        }
    }

    /// Bought, paid and credited.
    pub async fn bought(&self, customer: &str, processor: Processor, cents: i64, key: &str) -> Payment {
        let payment = self.buy(customer, processor, cents, key).await;
        self.pay(&payment);
        let payment = self.cashier.settle(&payment.id).await.unwrap();
        assert_eq!(payment.status, Status::Succeeded, "{payment:?}");
        payment
    }

    pub async fn payment(&self, payment: &Id) -> Payment {
        self.app.system.store.payment(payment).await.unwrap().unwrap().0
    }

    /// Lets time pass until open payments are due, and sweeps until nothing more is.
    pub async fn sweep(&self) {
        self.app.pass_secs(3_700);
        self.sweep_now().await;
    }

    pub async fn sweep_now(&self) {
        for _ in 0..20 {
            if !self.cashier.sweep(SWEEP).await.unwrap().more {
                return;
            }
        }
        panic!("the sweep does not end");
    }

    pub async fn parked(&self) -> Vec<Unmatched> {
        let page = self.app.system.store.unmatched_list(None, None, 100).await.unwrap();
        page.data.into_iter().map(|(entry, _)| entry.told).collect()
    }

    /// Takes the ids of mails from their queue.
    pub async fn mails(&self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let messages = self.app.system.mails.receive(MAILS).await.unwrap();
            if messages.is_empty() {
                ids.sort();
                return ids;
            }
            let (bodies, receipts) = messages.into_iter().map(|m| (m.body, m.receipt)).unzip::<_, _, Vec<_>, Vec<_>>();
            ids.extend(bodies);
            self.app.system.mails.delete(receipts).await.unwrap();
        }
    }

    /// The ledger holds, and the customer has exactly so many cents.
    pub async fn holds(&self, customer: &str, cents: i64) {
        self.app.verify().await;
        assert_eq!(self.app.balance(customer).await, cents * USD / 100, "of {customer}");
    }
}

pub fn cashier_config(app: &TestApp, url: &str) -> CashierConfig {
    let (stripe, paypal) = stand_ins(&Endpoint { base_url: url.to_owned(), bounds: bounds() });
    let mails: Arc<dyn Queue> = Arc::new(app.system.mails.clone());
    CashierConfig {
        store: app.system.store.clone(),
        clock: app.time.clock(),
        stripe: Some(stripe),
        paypal: Some(paypal),
        mails: Some(mails),
        return_url: "https://panel.example.com/paid".to_owned(),
    }
}

/// An admin who asks for refunds.
pub fn admin(counter: &Counter) -> By {
    let now = counter.app.time.now();
    By {
        actor: id("usr_admin"),
        at: now,
        record: api::new_id("aud", now),
        address: "192.0.2.7".to_owned(),
        request_id: "req-1".to_owned(),
    }
}

pub async fn post_raw(urls: &Router, path: &str, headers: &[(String, String)], body: &str) -> Answer {
    post_from(PROCESSOR, urls, path, headers, body).await
}

pub async fn post_from(from: IpAddr, urls: &Router, path: &str, headers: &[(String, String)], body: &str) -> Answer {
    let request = Request::post(path).extension(api::ClientIp(from));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    send(urls, request.body(Body::from(body.to_owned())).unwrap()).await
}
