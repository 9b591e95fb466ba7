//! `cargo xtask reset`: stops the platform and removes its data, secrets and logs.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};

use super::dev::{DEFAULT, running};
use crate::context::Context;
use crate::exit::refused;
use crate::plan::interrupt::Interrupt;
use crate::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask reset\n  cargo xtask reset --yes")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// # Errors
/// Refused when nobody can be asked and `--yes` is not given; otherwise when something cannot be removed.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let folder = context.state().join(&options.environment);
    if !folder.exists() {
        eprintln!("{} has nothing here", options.environment);
        return Ok(());
    }
    if !options.yes {
        confirm(&format!("remove {} with all its data?", folder.display()))?;
    }
    let show = Show::on_stderr();
    running::recover(context, &options.environment, &show)?;
    let plan = running::plan_down(context, &options.environment, running::Data::Go)?;
    running::take_down(context, &plan, &show, &Interrupt::listen()?)?;
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    show.say(&format!("removed {}", folder.display()));
    Ok(())
}

fn confirm(question: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(refused("nobody can be asked here: pass --yes to remove the data"));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(refused("nothing was removed")) }
}
