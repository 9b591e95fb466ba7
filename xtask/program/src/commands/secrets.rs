//! `secrets`: what an environment's secrets are like, and the store that keeps them. Never their values.

mod store;

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::session::deployed::State;
use crate::session::fetched_certificate;
use crate::session::opened::recorded;
use crate::session::secret_audit::{Found, Place, audit};
use crate::session::{DEFAULT, host};
use foundation::clock::{now_ms, utc};
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::program_name::PROGRAM;
use foundation::stdout;
use judges::site;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask secrets init production --shares 3 --threshold 2
  cargo xtask secrets unseal production --key-file a.key --key-file b.key
  cargo xtask secrets snapshot production secrets.snapshot
  cargo xtask secrets audit production
  cargo xtask secrets audit production --json | jq '.[] | select(.problem)'

Exit code 0 when every secret is in order, 1 when one is missing, due or can be read by other users, 2 when nothing \
runs or is deployed there.")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show who reads each secret, how old it is and when it must be replaced
    Audit {
        /// The environment
        #[arg(value_name = "ENV", default_value = DEFAULT)]
        environment: String,
    },
    #[command(flatten)]
    Store(store::Store),
}

/// # Errors
/// Reported when a secret is not in order; refused when there is no such environment here.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let environment = match &options.what {
        What::Audit { environment } => environment,
        What::Store(what) => return store::run(context, what),
    };
    if let Some(done) = host::forwarded(context, environment, &[]) {
        return done;
    }
    let found = found(context, environment)?;
    if context.json {
        stdout::json(&found)?;
    } else {
        stdout::text(&table(&found))?;
    }
    if found.iter().all(|secret| secret.problem.is_none()) { Ok(()) } else { Err(Reported.into()) }
}

fn found(context: &Context, name: &str) -> Result<Vec<Found>> {
    let (platform, now) = (context.platform, now_ms() / 1000);
    if let Some(deployed) = Deployed::found(name) {
        let environment = State::of(context, &deployed)?.environment;
        let folder = deployed.folder();
        fetched_certificate::keep(platform, &environment, &folder)?;
        let place = Place { secrets: &folder.join("secrets"), site: &folder };
        return Ok(audit(platform, &environment, &place, now));
    }
    let (folder, record) = recorded(context, name)?.ok_or_else(|| {
        refused(format!("{name} was never started or deployed here; `{PROGRAM} dev` starts dev"))
    })?;
    let environment = site::load(&context.root, &record.environment, &site::known(platform))?;
    let place = Place { secrets: &folder.join("secrets"), site: &context.root };
    Ok(audit(platform, &environment, &place, now))
}

fn table(found: &[Found]) -> String {
    let day = |seconds: Option<u64>| {
        seconds.map_or_else(|| "-".to_owned(), |seconds| utc(seconds)[..10].to_owned())
    };
    let head = ["SECRET", "READ BY", "CHANGED", "DUE", "STATE"].map(str::to_owned);
    let row = |secret: &Found| {
        let state = secret.problem.clone().unwrap_or_else(|| "in order".to_owned());
        [secret.name.to_owned(), secret.readers.join(", "), day(secret.changed), day(secret.due), state]
    };
    columns::table(&[vec![head], found.iter().map(row).collect()].concat())
}
