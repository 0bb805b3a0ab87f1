//! `skymeter`: the whole system on one machine.

// The SDK's futures nest deeper than rustc's default.
#![recursion_limit = "256"]

use clap::{Parser, Subcommand};
use domain::Timestamp;
use skymeter::commands::{
    admin, cost, export, keys, load, mail, preflight, rebuild, redrive, replay, sandbox, switch, up, verify,
};
use skymeter::installation::Target;
use std::path::PathBuf;
use std::process::ExitCode;

/// Billing for hosting providers: meters every server each hour, bills it exactly once.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything here: load a sample, bill what is due, serve, bill on schedule (the default).
    Up(Up),
    /// Drive the whole pipeline from a recorded trace on a simulated clock.
    Replay(Replay),
    /// Prove the ledger: of a data directory, or of a stage in the cloud.
    Verify(On),
    /// Print every page as a line of JSON.
    Export(On),
    /// Work all totals out of the ledger again.
    Rebuild(On),
    /// Put fresh jobs in the place of dead letters.
    Redrive(On),
    /// Switch hourly billing on or off, from the next full hour.
    Switch(Switch),
    /// Make the owner of an address an admin, or an ordinary user again.
    Admin(Admin),
    /// The public keys of access tokens; `retire` withdraws one.
    Keys(Keys),
    /// What is to be done about mails.
    Mail(Mail),
    /// Load prices and servers from CSV files.
    Load(Load),
    /// Before a deploy: do the secrets hold what they should, are the tables of a version this release knows? Changes nothing.
    Preflight(Preflight),
    /// What a fleet costs a month in the cloud, from an hour of it measured here.
    Cost(Cost),
    /// Stand-ins for Stripe and PayPal by themselves, until Ctrl-C.
    Sandbox(Sandbox),
}

/// What a command works on.
#[derive(clap::Args)]
struct On {
    /// The data directory (`data` where neither this nor a stage is given).
    #[arg(long, conflicts_with = "stage")]
    data: Option<PathBuf>,
    /// A stage in the cloud, through the standard AWS configuration.
    #[arg(long, value_parser = ["dev", "prod"])]
    stage: Option<String>,
    /// Another ledger table of the stage: one that was restored beside the original.
    #[arg(long, requires = "stage")]
    ledger: Option<String>,
    /// Another main table of the stage.
    #[arg(long, requires = "stage")]
    main: Option<String>,
}

impl From<On> for Target {
    fn from(on: On) -> Self {
        match on.stage {
            Some(stage) => Self::Cloud { stage, ledger: on.ledger, main: on.main },
            None => Self::Directory(on.data.unwrap_or_else(|| PathBuf::from("data"))),
        }
    }
}

#[derive(clap::Args)]
struct Admin {
    /// The address somebody has registered with.
    email: String,
    /// Take the role away.
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    on: On,
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Keys {
    #[command(subcommand)]
    action: Option<KeysAction>,
    #[command(flatten)]
    on: On,
}

#[derive(Subcommand)]
enum KeysAction {
    /// Withdraw a key, for ever: tokens that it signed are refused within a minute.
    Retire {
        /// Its name, as `skymeter keys` prints it.
        // A name may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// Also the one that signs: nobody signs in until `auth` has another.
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        on: On,
    },
}

#[derive(clap::Args)]
struct Mail {
    #[command(subcommand)]
    action: MailAction,
}

#[derive(Subcommand)]
enum MailAction {
    /// Mail an address again that bounced, or whose owner complained.
    Unsuppress {
        /// The address.
        address: String,
        #[command(flatten)]
        on: On,
    },
}

#[derive(clap::Args)]
struct Preflight {
    /// The stage to be deployed.
    #[arg(long, value_parser = ["dev", "prod"])]
    stage: String,
    /// ARN of the secret that holds the private key of access tokens.
    #[arg(long)]
    access_key_secret: Option<String>,
    /// ARN of Stripe's secret.
    #[arg(long)]
    stripe_secret: Option<String>,
    /// ARN of PayPal's secret.
    #[arg(long)]
    paypal_secret: Option<String>,
}

#[derive(clap::Args)]
struct Cost {
    /// Sizes of the fleet. A million take minutes and gigabytes.
    #[arg(long, value_delimiter = ',', default_value = "1000,100000")]
    servers: Vec<u64>,
    /// Servers of one wallet.
    #[arg(long, default_value_t = 10)]
    per_wallet: u64,
    /// CSV `item,usd,note` instead of our prices.
    #[arg(long)]
    prices: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Sandbox {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 4700)]
    port: u16,
    /// Where Stripe's webhooks go; without it they wait.
    #[arg(long, value_name = "URL")]
    stripe_webhook: Option<String>,
    /// Where PayPal's webhooks go; without it they wait.
    #[arg(long, value_name = "URL")]
    paypal_webhook: Option<String>,
}

#[derive(clap::Args)]
struct Switch {
    /// What it shall be.
    #[arg(value_parser = ["on", "off"])]
    to: String,
    #[command(flatten)]
    on: On,
}

#[derive(clap::Args)]
struct Load {
    /// CSV: `vm_id,tenant_id,flavor,created_s,deleted_s`; gzipped if it ends in .gz.
    trace: PathBuf,
    /// CSV: `flavor,monthly_price_usd`.
    #[arg(long)]
    plans: PathBuf,
    /// Second 0 of the trace (RFC 3339).
    #[arg(long, value_parser = Timestamp::parse)]
    start: Timestamp,
    #[command(flatten)]
    on: On,
}

#[derive(clap::Args)]
struct Data {
    /// The data directory.
    #[arg(long, default_value = "data")]
    data: PathBuf,
}

#[derive(clap::Args)]
struct Up {
    #[command(flatten)]
    data: Data,
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Stop after the first billing.
    #[arg(long)]
    exit: bool,
    /// Load this trace instead of the sample (the first time).
    #[arg(long, requires = "plans")]
    trace: Option<PathBuf>,
    /// Prices of the trace's flavors.
    #[arg(long, requires = "trace")]
    plans: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Replay {
    /// CSV: `vm_id,tenant_id,flavor,created_s,deleted_s`; gzipped if it ends in .gz.
    trace: PathBuf,
    /// CSV: `flavor,monthly_price_usd`.
    #[arg(long)]
    plans: PathBuf,
    /// Second 0 of the trace, a full hour (RFC 3339).
    #[arg(long, value_parser = Timestamp::parse)]
    start: Timestamp,
    /// Hours to bill.
    #[arg(long)]
    hours: u32,
    /// Write `tenant_id,server_hours,amount_usd` there.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Without the disk.
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Keep the data there; a new directory.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With faults, from this seed.
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let result = match cli.command.unwrap_or(Command::Up(cli.up)) {
        Command::Up(up) => {
            let Up { data: Data { data }, port, exit, trace, plans } = up;
            up::run(&up::Options { data, port, exit, trace: trace.zip(plans) }).await
        }
        Command::Replay(options) => {
            let Replay { trace, plans, start, hours, out, memory, data, chaos } = options;
            replay::run(&replay::Options { trace, plans, start, hours, out, memory, data, chaos }).await
        }
        Command::Verify(on) => verify::run(&on.into()).await,
        Command::Export(on) => export::run(&on.into()).await,
        Command::Rebuild(on) => rebuild::run(&on.into()).await,
        Command::Redrive(on) => redrive::run(&on.into()).await,
        Command::Switch(Switch { to, on }) => switch::run(&on.into(), to == "on").await,
        Command::Admin(Admin { email, revoke, on }) => admin::run(&on.into(), &email, revoke).await,
        Command::Keys(Keys { action: None, on }) => keys::list(&on.into()).await,
        Command::Keys(Keys { action: Some(KeysAction::Retire { key, anyway, on }), .. }) => {
            keys::retire(&on.into(), &key, anyway).await
        }
        Command::Mail(Mail { action: MailAction::Unsuppress { address, on } }) => {
            mail::unsuppress(&on.into(), &address).await
        }
        Command::Preflight(Preflight { stage, access_key_secret, stripe_secret, paypal_secret }) => {
            let secrets = [
                preflight::access_key("AccessKeySecretArn", access_key_secret),
                preflight::stripe("StripeSecretArn", stripe_secret),
                preflight::paypal("PaypalSecretArn", paypal_secret),
            ];
            preflight::run(&stage, &secrets).await
        }
        Command::Cost(Cost { servers, per_wallet, prices }) => {
            cost::run(&cost::Options { servers, per_wallet, prices }).await
        }
        Command::Sandbox(Sandbox { port, stripe_webhook, paypal_webhook }) => {
            sandbox::run(&sandbox::Options { port, stripe_webhook, paypal_webhook }).await
        }
        Command::Load(Load { trace, plans, start, on }) => load::run(&on.into(), &trace, &plans, start).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skymeter: {error:#}");
            ExitCode::FAILURE
        }
    }
}
