//! `cargo xtask smoke`: has a platform prove itself, check by check.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::context::Context;
use crate::session::operations::Target;
use crate::session::smoke::{self, SmokeReport};
use crate::session::{DEFAULT, host, private};
use foundation::exit::{Interrupted, Reported};
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask smoke                      the platform that `cargo xtask dev` runs
  cargo xtask smoke production           what was deployed there, and a task through its edge
  cargo xtask smoke --private            a temporary platform on free ports
  cargo xtask smoke --json | jq .status
  cargo xtask smoke --url https://ops.example.com --token-file ops-token

Exit code 0 when every check passed, 1 when one failed or is missing, 2 when no platform can be reached.")]
pub struct Options {
    /// The environment of a platform that runs here, or was deployed
    #[arg(value_name = "ENV", default_value = DEFAULT, conflicts_with_all = ["url", "private"])]
    environment: String,
    /// The operations address of another platform
    #[arg(long, requires = "token_file", conflicts_with = "private")]
    url: Option<String>,
    /// The file with the operations token of that platform
    #[arg(long, value_name = "FILE", env = "OPS_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Start a temporary platform on free ports, check it, and remove it
    #[arg(long)]
    private: bool,
    /// Give up after this many seconds [default: the platform's own limit]
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
}

impl Options {
    /// Whether it brings up a platform of its own.
    pub fn is_private(&self) -> bool {
        self.private
    }
}

/// # Errors
/// Reported when a check failed or is missing; refused when there is nothing to ask.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let platform = context.platform;
    let interrupt = Interrupt::listen()?;
    let limit = options.limit.map_or(smoke::limit(platform), Duration::from_secs);
    let shown = |answer: SmokeReport| -> Result<()> {
        if context.json {
            stdout::json(&answer)?;
        } else {
            stdout::text(&answer.table())?;
        }
        if answer.passed() { Ok(()) } else { Err(Reported.into()) }
    };
    let stop = || interrupt.raised();
    let ask = |target: &Target| shown(target.ask(platform, limit, &stop)?);
    if options.private {
        let show = Show::on_stderr();
        return private::run(context, "smoke", None, &[], &show, &interrupt, &mut |opened| {
            ask(&smoke::target(opened)?)
        });
    }
    if options.url.is_none()
        && let Some(done) = host::forwarded(context, &options.environment, &[])
    {
        return done;
    }
    match (&options.url, &options.token_file) {
        (Some(url), Some(token_file)) => ask(&Target::at(url, token_file)),
        _ => smoke::environment(context, &options.environment, limit, &stop).and_then(shown),
    }
    .map_err(|error| interrupt.signal().map_or(error, |signal| Interrupted { signal }.into()))
}
