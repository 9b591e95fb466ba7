//! `lock`: who changes an environment at the moment.

use std::path::PathBuf;

use anyhow::Result;
use foundation::clock::utc;
use foundation::program_name::command_line;
use foundation::stdout;
use judges::site;
use runner::plan::lock::{self, Found, Holder, Lock};

use crate::context::Context;
use crate::deployment::Deployed;
use crate::session::host;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask lock production show
  cargo xtask lock production release

Only one command at a time can change an environment. You do not need to release the lock of a killed command: the next \
command takes it over.
Exit code 0; 1 from `release` when the command that holds the lock still runs.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show who holds the lock: user, host, process, command, since when
    Show,
    /// Remove the lock of a killed command; refused while the command still runs
    Release,
}

/// # Errors
/// Refused when there is no such environment; otherwise when the lock to release is held.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &[]) {
        return done;
    }
    let path = path(context, &options.environment)?;
    let found = lock::find(&path)?;
    let text = match options.what {
        What::Show => shown(&options.environment, &found),
        What::Release => {
            if let Found::Held(holder) = &found {
                return Err(still_runs(&options.environment, holder));
            }
            if let Found::Dead(_) = found {
                drop(Lock::take(&path, &Holder::this(&command_line()))?);
            }
            released(&options.environment, &found)
        }
    };
    if context.json { stdout::json(&found) } else { stdout::text(&text) }
}

fn path(context: &Context, name: &str) -> Result<PathBuf> {
    if let Some(deployed) = Deployed::found(name) {
        return Ok(deployed.lock());
    }
    site::named(&context.root, name)?;
    Ok(lock::path_in(&context.state().join(name)))
}

fn shown(name: &str, found: &Found) -> String {
    let rows = |holder: &Holder| {
        let Holder { who, host, process, command, since } = holder;
        format!(
            "  who      {who}@{host}\n  process  {}\n  command  {command}\n  since    {}\n",
            process.pid,
            utc(*since)
        )
    };
    match found {
        Found::Free => format!("{name}: free\n"),
        Found::Held(holder) => format!("{name}: held\n{}", rows(holder)),
        Found::Dead(holder) => format!(
            "{name}: free; the command that held it was killed, and the next command takes it over\n{}",
            rows(holder)
        ),
    }
}

fn released(name: &str, found: &Found) -> String {
    match found {
        Found::Dead(holder) => format!("{name}: removed the lock of {holder}\n"),
        Found::Free | Found::Held(_) => format!("{name}: not locked\n"),
    }
}

fn still_runs(name: &str, holder: &Holder) -> anyhow::Error {
    anyhow::anyhow!(
        "{name} is locked by {holder}, which still runs; wait for it, or end it with `kill {}`; it then undoes its steps",
        holder.process.pid
    )
}
