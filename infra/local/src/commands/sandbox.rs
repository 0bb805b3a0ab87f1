//! `skymeter sandbox`: the stand-ins for Stripe and PayPal by themselves, for a stage whose `StripeUrl` and `PaypalUrl` lead here.

use anyhow::Context;
use sandbox::{Config, Delivering, Sandbox, Target};
use tokio::signal::unix::{SignalKind, signal};

/// What `sandbox` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen on 127.0.0.1; 0 for any.
    pub port: u16,
    /// Where Stripe's webhooks go; without it they wait.
    pub stripe_webhook: Option<String>,
    /// Where PayPal's webhooks go; without it they wait.
    pub paypal_webhook: Option<String>,
}

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// The port is in use.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let mut config = Config { port: options.port, delivering: Delivering::Background, ..Config::default() };
    config.stripe.target = options.stripe_webhook.clone().map(Target::Url);
    config.paypal.target = options.paypal_webhook.clone().map(Target::Url);
    let sandbox = Sandbox::start(config).await.with_context(|| format!("port {} of 127.0.0.1", options.port))?;
    println!("  {}   payments at Stripe and PayPal, as their customers see them\n\nCtrl-C ends it.", sandbox.url());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    sandbox.stop();
    Ok(())
}
