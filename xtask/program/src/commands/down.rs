//! `cargo xtask down`: stops the platform, or what is deployed to an environment; the data stay.

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::Data;
use crate::session::deploying::By;
use crate::session::{DEFAULT, dry_run, host, running, starting};
use foundation::interrupt::Interrupt;
use judges::site;
use runner::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask down
  cargo xtask down --dry-run
  cargo xtask down production      a deployed environment, here or on its host

Requests and tasks are finished first. `cargo xtask start ENV` starts a deployed environment again.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    by: By,
}

/// # Errors
/// When it cannot be stopped. Nothing running is fine.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &options.by.words()) {
        return done;
    }
    if let Some(deployed) = Deployed::found(&options.environment) {
        return starting::stop(context, &deployed, &options.by, options.dry_run);
    }
    // A tree that is being removed has none left, and what runs in it can still be stopped.
    if site::files(&context.root).is_ok() {
        site::named(&context.root, &options.environment)?;
    }
    if options.dry_run {
        let plan = running::plan_down(context, &options.environment, Data::Stay)?;
        return dry_run::show(context, &plan);
    }
    let show = Show::on_stderr();
    running::recover(context, &options.environment, &show)?;
    running::bring_down(context, &options.environment, &show, &Interrupt::listen()?)
}
