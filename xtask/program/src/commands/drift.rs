//! `drift`: how what runs differs from what was deployed.

use anyhow::Result;
use foundation::exit::{Reported, refused};
use foundation::program_name::PROGRAM;
use foundation::stdout;
use vocabulary::problem::listing;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history;
use crate::session::deployed::State;
use crate::session::drift::differences;
use crate::session::host;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask drift production
  cargo xtask drift production --json

Compares services, releases, installed files, flows and settings with what was deployed last.
Exit code 0 without drift, 1 with drift, 2 when nothing was deployed or a deploy is under way.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
}

/// # Errors
/// Refused when nothing was deployed or a deploy is under way; reported when there is drift.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &[]) {
        return done;
    }
    let deployed = Deployed::of(&options.environment)?;
    let state = State::of(context, &deployed)?;
    let name = &deployed.name;
    if state.deploying {
        return Err(refused(format!(
            "another command is changing {name}: wait until it has ended (`{PROGRAM} lock {name} show` shows it)"
        )));
    }
    let Some(current) = history::current(&state.history) else {
        return Err(refused(format!(
            "no deploy to {name} has succeeded yet: there is nothing to compare with"
        )));
    };
    let found = differences(context, &deployed, &state, current)?;
    if context.json {
        stdout::json(&serde_json::json!({ "environment": name, "release": current, "drift": found }))?;
    } else if found.is_empty() {
        stdout::text(&format!("no drift: {name} runs {current} as it was deployed\n"))?;
    } else {
        stdout::text(&format!("{name} differs from {current} as it was deployed:\n{}\n", listing(&found)))?;
    }
    if found.is_empty() { Ok(()) } else { Err(Reported.into()) }
}
