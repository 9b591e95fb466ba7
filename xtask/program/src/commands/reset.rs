//! `cargo xtask reset`: stops the platform and removes its data, secrets and logs.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Result, bail};

use crate::context::Context;
use crate::engines::Data;
use crate::engines::process::secret_memory::forget;
use crate::session::killed_runs;
use crate::session::{DEFAULT, private, rehearsal, running};
use foundation::exit::refused;
use foundation::files::remove;
use foundation::interrupt::Interrupt;
use judges::site;
use runner::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask reset
  cargo xtask reset --yes")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV", default_value = DEFAULT)]
    environment: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// # Errors
/// Refused when nobody can be asked and `--yes` is not given; otherwise when something cannot be removed.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    site::named(&context.root, &options.environment)?;
    // Every command tried before its own work; this one promises it.
    let problems = killed_runs::clean_up(context);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let own = context.state().join(&options.environment);
    let others = [private::FAILED, rehearsal::TARGET].map(|name| context.state().join(name));
    let folders: Vec<_> = others.into_iter().chain([own.clone()]).filter(|folder| folder.exists()).collect();
    if folders.is_empty() {
        eprintln!("{} has nothing here", options.environment);
        return Ok(());
    }
    if !options.yes {
        let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        confirm(&format!("remove {} with all data?", names.join(", ")))?;
    }
    let show = Show::on_stderr();
    if own.exists() {
        running::recover(context, &options.environment, &show)?;
        let plan = running::plan_down(context, &options.environment, Data::Go)?;
        running::take_down(context, &plan, &show, &Interrupt::listen()?)?;
    }
    rehearsal::remove(context)?;
    for folder in folders {
        if let Ok(in_memory) = fs::read_link(folder.join("secrets")) {
            forget(&in_memory)?;
        }
        remove(&folder)?;
        show.say(&format!("removed {}", folder.display()));
    }
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
