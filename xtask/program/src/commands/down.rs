//! `cargo xtask down`: stops the platform; its data stay.

use anyhow::Result;

use crate::context::Context;
use crate::engines::Data;
use crate::session::dry_run;
use crate::session::{DEFAULT, running};
use foundation::interrupt::Interrupt;
use judges::site;
use runner::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask down
  cargo xtask down --dry-run")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

/// # Errors
/// When it cannot be stopped. Nothing running is fine.
pub fn run(context: &Context, options: &Options) -> Result<()> {
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
