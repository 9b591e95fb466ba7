//! `contract`: runs the contract migrations of the release that runs.

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::session::by_the_release;
use crate::session::contracting;
use crate::session::deployed::CONTRACT;
use crate::session::host;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask contract production --dry-run    only show the steps
  cargo xtask contract production

Contract migrations remove what older releases still need, such as a column. They are in flows/migrations/contract. No \
deploy runs them. This command runs those of the running release, but only when each installed release has them too: \
afterwards, other releases cannot run in ENV any more, and a rollback to them is refused.
Before the real database is changed, a replica of the running release must pass its smoke checks on a scratch database.
Exit code 0 when they are run or none is left to run, 1 when they failed, 2 when ENV or its releases are not ready.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(flatten)]
    called: by_the_release::Called,
}

/// # Errors
/// Refused when an installed release lacks them, or the running one is not whole; reported when they fail.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let deployed = Deployed::of(&options.environment)?;
    let by_the_release::Called { dry_run, by, .. } = &options.called;
    if let Some(installed) = options.called.own() {
        return contracting::carry_out(context, &deployed, &installed, *dry_run, by);
    }
    if let Some(done) = host::forwarded(context, &deployed.name, &by.words()) {
        return done;
    }
    let installed = by_the_release::installed(&deployed)?;
    by_the_release::run(context, &deployed, &installed, [CONTRACT, &deployed.name], &options.called)
}
