//! The HTTP areas and what works behind them, wired to embedded parts.

use crate::data_dir::DataDir;
use crate::mailbox::{FRONTEND, Mailbox};
use crate::queue::EmbeddedQueue;
use crate::system::{self, System, settle};
use anyhow::Context;
use api::Kit;
use auth::Signer;
use cashier::{Cashier, CashierConfig, StripeAccount};
use domain::Timestamp;
use lifecycle::Lifecycle;
use mailer::{MailConfig, Mailing};
use providers::paypal::PAYPAL_CERT_HOSTS;
use providers::{Endpoint, FollowsSetting, Mailer, PayPalConfig, Queue, Secret, StripeConfig};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Mails one call of the mailer takes.
const MAIL_BATCH: usize = 10;
/// Time one call of the mailer has, as in `template.yaml`.
const MAILER_TIME: Duration = Duration::from_secs(60);

/// How often what nobody else would look at is looked at: each minute, where the cloud has five. Somebody may be watching.
const LIFECYCLE_SECS: i64 = 60;

/// Where a laptop's things are to be found.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Where this process serves, without a slash at the end.
    pub own: String,
    /// Where the stand-ins of the payment processors do.
    pub sandbox: String,
}

/// Accounts, wallets and payments on embedded parts.
#[derive(Clone, Debug)]
pub struct Shop {
    /// What every area has.
    pub kit: Kit,
    /// Accounts and sessions.
    pub auth: auth::State,
    /// Wallets and usage.
    pub billing: billing::State,
    /// Payments.
    pub payments: payments::State,
    /// For operators.
    pub admin: admin::State,
    /// Payments and the ledger.
    pub cashier: Cashier,
    /// What nobody else would look at again.
    pub lifecycle: Lifecycle,
    /// What mails are sent to.
    pub mailbox: Mailbox,
    mailing: Mailing,
    mails: EmbeddedQueue,
    looked_at: Option<Timestamp>,
}

impl Shop {
    /// Wires everything. Without a data directory the key of access tokens and the mails live in memory.
    ///
    /// # Errors
    /// The data directory's; DynamoDB's.
    pub async fn open(system: &System, data: Option<&DataDir>, addresses: &Addresses) -> anyhow::Result<Self> {
        let kit = Kit::new(health::AREA, system.store.clone(), system.clock.clone());
        let signer = signer(&kit, data).await?;
        let mailbox = Mailbox::open(data.map(DataDir::mails).as_deref())?;
        let mailer: Arc<dyn Mailer> = Arc::new(mailbox.clone());
        let mailing = Mailing::new(kit.store.clone(), mailer, mail_config(&addresses.own)?, kit.clock.clone())?;
        let mails = system.mails.clone();
        let queue: Arc<dyn Queue> = Arc::new(mails.clone());
        let cashier = Cashier::new(cashier_config(&kit, &queue, addresses))?;
        Ok(Self {
            auth: auth::State::new(kit.of(auth::AREA), signer, Arc::clone(&queue)),
            billing: billing::State { kit: kit.of(billing::AREA), cashier: cashier.clone() },
            payments: payments::State { kit: kit.of(payments::AREA), cashier: cashier.clone() },
            admin: admin::State {
                kit: kit.of(admin::AREA),
                scheduler: Arc::new(FollowsSetting),
                metering: Arc::new(system.shards.clone()),
            },
            lifecycle: Lifecycle {
                store: kit.store.clone(),
                mails: queue,
                clock: kit.clock.clone(),
                cashier: cashier.clone(),
            },
            cashier,
            kit,
            mailbox,
            mailing,
            mails,
            looked_at: None,
        })
    }

    /// What is due at `now`, beside billing.
    ///
    /// # Errors
    /// As [`Shop::pump_mails`].
    pub async fn work(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.looked_at.is_none_or(|at| now.since(at) >= LIFECYCLE_SECS) {
            self.looked_at = Some(now);
            self.lifecycle.run().await;
        }
        self.pump_mails().await
    }

    /// Sends the mails that wait.
    ///
    /// # Errors
    /// The queue's.
    pub async fn pump_mails(&self) -> anyhow::Result<()> {
        loop {
            let messages = self.mails.receive(MAIL_BATCH).await?;
            if messages.is_empty() {
                return Ok(());
            }
            let response = self.mailing.handle_mails(system::event(&messages), MAILER_TIME).await;
            settle(&self.mails, messages, &response).await?;
        }
    }
}

fn cashier_config(kit: &Kit, mails: &Arc<dyn Queue>, addresses: &Addresses) -> CashierConfig {
    let (stripe, paypal) = stand_ins(&Endpoint::new(&addresses.sandbox));
    CashierConfig {
        store: kit.store.clone(),
        clock: kit.clock.clone(),
        stripe: Some(stripe),
        paypal: Some(paypal),
        mails: Some(Arc::clone(mails)),
        return_url: format!("{}{FRONTEND}", addresses.own),
    }
}

/// How to call the stand-ins of both processors, with their own keys: nothing here is a secret.
#[must_use]
pub fn stand_ins(endpoint: &Endpoint) -> (StripeAccount, PayPalConfig) {
    let sandbox::Config { stripe, paypal, .. } = sandbox::Config::default();
    let api = StripeConfig { endpoint: endpoint.clone(), key: Secret::new(stripe.secret_key) };
    let webhook_secrets = stripe.webhook_secrets.into_iter().map(Secret::new).collect();
    let paypal = PayPalConfig {
        endpoint: endpoint.clone(),
        client_id: paypal.client_id,
        client_secret: Secret::new(paypal.client_secret),
        webhook_id: paypal.webhook_id,
        cert_hosts: PAYPAL_CERT_HOSTS.map(str::to_owned).to_vec(),
    };
    (StripeAccount { api, webhook_secrets }, paypal)
}

/// Mails of a laptop: their links lead to the mailbox's own pages.
fn mail_config(own: &str) -> anyhow::Result<MailConfig> {
    let config = MailConfig {
        from: "billing@skymeter.example".to_owned(),
        product: "Skymeter".to_owned(),
        frontend_url: format!("{own}{FRONTEND}"),
        support: "help@skymeter.example".to_owned(),
    };
    Ok(config.checked()?)
}

/// What signs access tokens, known to every area; with a new key where the old one was withdrawn.
async fn signer(kit: &Kit, data: Option<&DataDir>) -> anyhow::Result<Signer> {
    let path = data.map(DataDir::access_key);
    let read = |pem: &Secret| Signer::from_pem(pem, kit.clock.now()).context("the key of access tokens");
    let kept = path.as_deref().map_or_else(|| Ok(Signer::generate_pem()?), kept_key)?;
    let signer = read(&kept)?;
    if kit.store.access_key_add(signer.public()).await? {
        return Ok(signer);
    }
    let new = path.as_deref().map_or_else(|| Ok(Signer::generate_pem()?), new_key)?;
    let signer = read(&new)?;
    kit.store.access_key_add(signer.public()).await?;
    Ok(signer)
}

/// The private key of a data directory, made at its first use.
fn kept_key(path: &Path) -> anyhow::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(pem) => Ok(Secret::new(pem)),
        Err(error) if error.kind() == ErrorKind::NotFound => new_key(path),
        Err(error) => Err(error).with_context(|| format!("the key {}", path.display())),
    }
}

/// A new private key in its place, readable by its owner only.
fn new_key(path: &Path) -> anyhow::Result<Secret> {
    let place = || format!("the key {}", path.display());
    let pem = Signer::generate_pem()?;
    // Whole or not at all: half a key would keep the next start from coming up.
    let written = path.with_extension("new");
    let mut file =
        fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&written).with_context(place)?;
    file.write_all(pem.expose().as_bytes()).with_context(place)?;
    file.sync_all().with_context(place)?;
    fs::rename(&written, path).with_context(place)?;
    Ok(pem)
}
