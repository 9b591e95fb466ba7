//! `secrets`: what an environment's secrets are like, how they are replaced, and the store that keeps them. Never their values.

mod store;

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::roll::rotation::Change;
use crate::session::by_the_release;
use crate::session::deployed::State;
use crate::session::fetched_certificate;
use crate::session::opened::recorded;
use crate::session::secret_audit::{Found, Place, audit};
use crate::session::secret_changes::{self, Wanted};
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
  cargo xtask secrets check production
  cargo xtask secrets rotate production ops-token postgres-app-password
  cargo xtask secrets rotate production --all --dry-run
  cargo xtask secrets revoke production --all       an outage, until you rotate

A rotation writes the new value down beside the old one, has both accepted, changes over, and then has the old one \
refused. If it is interrupted, run it again: it goes on. Deploys are refused until then.
Exit code 0 when everything is in order or done, 1 when a secret is missing, due, readable by other users or refused, or \
a step failed, 2 when nothing runs or is deployed there.")]
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
    /// Prove that each value works: log in, send a request, make a TLS handshake
    Check(Selected),
    /// Replace values without an outage; the old ones are refused afterwards
    Rotate(Selected),
    /// Have values refused at once, even if that is an outage
    Revoke(Selected),
    #[command(flatten)]
    Store(store::Store),
}

#[derive(Debug, clap::Args)]
struct Selected {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    /// Which secrets; `audit` lists them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// All secrets of the environment
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    called: by_the_release::Called,
}

/// # Errors
/// Reported when a secret is not in order; refused when there is no such environment here.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let environment = match &options.what {
        What::Audit { environment } => environment,
        What::Check(selected) => return change(context, "check", Change::Check, selected),
        What::Rotate(selected) => return change(context, "rotate", Change::Rotate, selected),
        What::Revoke(selected) => return change(context, "revoke", Change::Revoke, selected),
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

fn change(context: &Context, what: &str, change: Change, selected: &Selected) -> Result<()> {
    let Selected { environment, names, all, called } = selected;
    if names.is_empty() && !all && change != Change::Check {
        return Err(refused(format!(
            "which secrets? name them, or give --all; `{PROGRAM} secrets audit {environment}` lists them"
        )));
    }
    let deployed = Deployed::of(environment)?;
    if let Some(installed) = called.own() {
        let wanted = Wanted { change, names, dry_run: called.dry_run };
        return secret_changes::carry_out(context, &deployed, &installed, &wanted);
    }
    if let Some(done) = host::forwarded(context, &deployed.name, &called.by.words()) {
        return done;
    }
    let installed = by_the_release::installed(&deployed)?;
    if !installed.tree().join(context.platform.database.credential).exists() {
        return Err(refused(format!(
            "{environment} runs {}, which cannot change its secrets while it runs; deploy a later release first",
            installed.id
        )));
    }
    let mut words = vec!["secrets", what, environment];
    words.extend(names.iter().map(String::as_str));
    words.extend(all.then_some("--all"));
    by_the_release::run(context, &deployed, &installed, words, called)
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
    let environment = record.running(site::load(&context.root, &record.environment, &site::known(platform))?);
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
