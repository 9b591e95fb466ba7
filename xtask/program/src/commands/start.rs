//! `start`: starts what was deployed to an environment and does not run.

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::session::deploying::By;
use crate::session::{host, starting};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask start production

Starts the release that ran last, with the settings that it was deployed with: after `cargo xtask down ENV`, or after the \
machine was started again.
Exit code 0 when it runs, 1 when it does not, 2 when nothing was deployed.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(flatten)]
    by: By,
}

/// # Errors
/// Refused when nothing was deployed, or its files were changed; otherwise when it cannot be started.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &options.by.words()) {
        return done;
    }
    starting::start(context, &Deployed::of(&options.environment)?, &options.by)
}
