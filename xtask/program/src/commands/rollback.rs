//! `rollback`: rolls out what ran before.

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::{self, Change};
use crate::deployment::releases;
use crate::session::deploying::{self, How};
use crate::session::host;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use vocabulary::problem::listing;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask rollback production              deploy the previous release again
  cargo xtask rollback production --to 1.1.0
  cargo xtask rollback production --dry-run    only show the steps

A rollback runs the same steps as a deploy. A second rollback undoes the first.
Exit code 0 when the release runs, 1 when it does not, 2 when there is nothing to go back to.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    /// The version or ID of an installed release [default: the previous release]
    #[arg(long, value_name = "V")]
    to: Option<String>,
    #[command(flatten)]
    how: How,
}

/// # Errors
/// Refused when there is nothing whole to go back to; reported when it does not run.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let deployed = Deployed::of(&options.environment)?;
    let wanted = options.how.wanted(Change::Rollback);
    if let Some(done) = host::forwarded(context, &deployed.name, &wanted.typed()) {
        return done;
    }
    let site = deployed.newest()?;
    let entries = history::read(&deployed.folder())?;
    let name = &deployed.name;
    let Some(to) = options.to.as_deref().or_else(|| history::previous(&entries)) else {
        return Err(refused(format!(
            "{name}: there is no previous release to go back to; choose one with --to VERSION; `{PROGRAM} releases list {name}` \
             lists the installed ones"
        )));
    };
    let release = releases::named(&deployed.releases(), to)?;
    let mut problems = release.problems();
    if problems.is_empty() {
        let environment = deployed.judged(context.platform, files::read(&site, files::TEXT)?.bytes);
        // Settings that this program does not understand are the release's own to judge.
        if let Ok(environment) = environment {
            problems = deploying::unable(context, &deployed, &environment, Some(&release.release()?))?.0;
        }
    }
    if !problems.is_empty() {
        return Err(refused(format!("{name} was not touched:\n{}", listing(&problems))));
    }
    deploying::roll(context, &deployed, &release, &site, &wanted)
}
