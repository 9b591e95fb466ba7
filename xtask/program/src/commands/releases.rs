//! `releases`: what is installed for an environment.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history;
use crate::deployment::releases;
use crate::engines::{forget, running};
use crate::session::{deployer, host};
use foundation::columns;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask releases list production
  cargo xtask releases prune production --keep 3
  cargo xtask releases prune production --keep 1     no rollback is possible afterwards
  cargo xtask releases prune production --dry-run    only list what would be removed

Exit code 0, or 2 when nothing was deployed.")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the installed releases
    List {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
    },
    /// Remove old releases, but never the running one; with --keep 1, the target of a rollback too
    Prune {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// How many of the most recently deployed releases to keep
        #[arg(long, value_name = "N", default_value_t = 5)]
        keep: usize,
        /// Only list what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    version: String,
    commit: String,
    /// `current`, `previous`, or nothing.
    role: &'static str,
    whole: bool,
    /// Only services that still run keep it.
    pruned: bool,
}

/// # Errors
/// Refused when nothing was deployed; otherwise when a folder cannot be read or removed.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let (What::List { environment } | What::Prune { environment, .. }) = &options.what;
    if let Some(done) = host::forwarded(context, environment, &[]) {
        return done;
    }
    match &options.what {
        What::List { environment } => list(context, &deployed(environment)?),
        What::Prune { environment, keep, dry_run } => {
            prune(context, &deployed(environment)?, *keep, *dry_run)
        }
    }
}

fn deployed(environment: &str) -> Result<Deployed> {
    let deployed = Deployed::of(environment)?;
    deployed.site()?;
    Ok(deployed)
}

fn list(context: &Context, deployed: &Deployed) -> Result<()> {
    let entries = history::read(&deployed.folder())?;
    let (current, previous) = (history::current(&entries), history::previous(&entries));
    let row = |installed: releases::Installed| {
        let release = installed.release().ok();
        let of = |field: fn(&shipping::release::description::Release) -> &String| {
            release.as_ref().map(field).cloned().unwrap_or_default()
        };
        Row {
            version: of(|release| &release.version),
            commit: of(|release| &release.commit),
            role: match Some(installed.id.as_str()) {
                id if id == current => "current",
                id if id == previous => "previous",
                _ => "",
            },
            whole: installed.problems().is_empty(),
            pruned: installed.is_pruned(),
            id: installed.id,
        }
    };
    let rows: Vec<Row> = releases::list(&deployed.releases())?.into_iter().map(row).collect();
    if context.json {
        return stdout::json(&rows);
    }
    let head = ["RELEASE", "COMMIT", "", ""].map(str::to_owned);
    let line = |row: &Row| {
        let commit = row.commit.get(..12).unwrap_or(&row.commit).to_owned();
        let state = match (row.whole, row.pruned) {
            (true, _) => "",
            (false, true) => "pruned: only kept for services that run from it",
            (false, false) => "damaged: deploy it again from its files",
        };
        [row.id.clone(), commit, row.role.to_owned(), state.to_owned()]
    };
    stdout::text(&columns::table(&[vec![head], rows.iter().map(line).collect()].concat()))
}

fn prune(context: &Context, deployed: &Deployed, keep: usize, dry_run: bool) -> Result<()> {
    // No deploy begins meanwhile.
    let lock = (!dry_run).then(|| deployer::hold_off(deployed)).transpose()?;
    let entries = history::read(&deployed.folder())?;
    let previous = history::previous(&entries).filter(|_| keep > 1);
    let mut kept: BTreeSet<String> =
        [history::current(&entries), previous].into_iter().flatten().map(str::to_owned).collect();
    for entry in entries.iter().rev() {
        if kept.len() >= keep.max(1) {
            break;
        }
        kept.insert(entry.to.clone());
    }
    let services = running(context.platform, &deployed.folder())?.into_values();
    let run: BTreeSet<String> = services.filter_map(|running| running.release).collect();
    let old = releases::list(&deployed.releases())?.into_iter();
    let old = old.filter(|release| !kept.contains(&release.id));
    let (needed, going): (Vec<_>, Vec<_>) = old.partition(|release| run.contains(&release.id));
    let id = |release: releases::Installed| release.id;
    let needed: Vec<String> = needed.into_iter().filter(|release| !release.is_pruned()).map(id).collect();
    let going: Vec<String> = going.into_iter().map(id).collect();
    if !dry_run {
        releases::prune(&deployed.releases(), &going)?;
        releases::strip(&deployed.releases(), &needed)?;
        match forget(context.platform, &deployed.folder(), &going) {
            Ok(stay) => stay.iter().for_each(|image| {
                eprintln!("{image} stays: a container uses it; the next prune after that removes it");
            }),
            Err(error) => {
                eprintln!("warning: the engine may still have the images of these releases: {error:#}");
            }
        }
    }
    drop(lock);
    if context.json {
        return stdout::json(&[going, needed].concat());
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let gone = going.iter().map(|id| format!("{verb} {id}\n"));
    let left = needed.iter().map(|id| format!("{verb} {id}, but keeps its tree: services run from it\n"));
    stdout::text(&gone.chain(left).collect::<String>())
}
