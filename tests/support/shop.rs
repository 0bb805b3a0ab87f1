//! Accounts, wallets and payments, all areas behind one router, with stand-ins of the payment processors.

use crate::TestApp;
use crate::sign_in::{Answer, ask, send};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use sandbox::{Config, Processor, Sandbox, Target};
use serde_json::Value;
use skymeter::shop::{Addresses, Shop};

/// Where this would serve, were it a server.
const OWN: &str = "http://127.0.0.1:3000";

/// Everything a customer's browser talks to.
pub struct TestShop {
    /// The areas' states, and what works behind them.
    pub shop: Shop,
    /// The processors. Their webhooks go to [`TestShop::router`] when they are delivered.
    pub sandbox: Sandbox,
    /// All areas, as `skymeter up` serves them.
    pub router: Router,
}

impl TestApp {
    /// Opens a shop on this app's parts and time.
    pub async fn shop(&self) -> TestShop {
        let clock = self.time.clock();
        let ms = move || clock.now().secs() * 1_000;
        let sandbox = Sandbox::start(Config { clock: sandbox::Clock::from_fn(ms), ..Config::default() }).await;
        let sandbox = sandbox.expect("the sandbox starts");
        let addresses = Addresses { own: OWN.to_owned(), sandbox: sandbox.url().to_owned() };
        let shop = Shop::open(&self.system, None, &addresses).await.expect("the shop opens");
        let router = skymeter::gateway::router(&shop);
        for (processor, path) in
            [(Processor::Stripe, "/api/v1/payments/webhook"), (Processor::PayPal, "/api/v1/payments/webhook/paypal")]
        {
            let router = router.clone();
            let target = Target::call(move |delivery: sandbox::Delivery| {
                let router = router.clone();
                async move {
                    let request = Request::post(path).header("content-type", "application/json");
                    let request = delivery.headers.iter().fold(request, |r, (name, value)| r.header(name, value));
                    send(&router, request.body(Body::from(delivery.body)).expect("a webhook is a request")).await.status
                }
            });
            sandbox.send_webhooks_to(processor, target);
        }
        TestShop { shop, sandbox, router }
    }
}

impl TestShop {
    /// A request without a body.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        ask(&self.router, "GET", &format!("/api/v1{path}"), Some(token), None).await
    }

    /// A request with one.
    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        ask(&self.router, "POST", &format!("/api/v1{path}"), token, Some(body)).await
    }

    /// The token in the newest mail to an address.
    pub async fn mailed_token(&self, address: &str) -> String {
        self.shop.pump_mails().await.expect("the mails are sent");
        let mail = self.shop.mailbox.newest_to(address).unwrap_or_else(|| panic!("no mail came to {address}"));
        let link =
            mail.links().into_iter().find_map(|link| link.split_once("token=")).map(|(_, token)| token.to_owned());
        link.unwrap_or_else(|| panic!("no token in {}", mail.text))
    }
}
