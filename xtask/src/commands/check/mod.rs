//! `cargo xtask check`: judgements that start no service.

mod compliance;
mod findings_file;
mod flows;
mod secrets;

use anyhow::Result;
use clap::{Args, Subcommand};

pub use self::flows::judge_flows;
use crate::context::Context;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask check flows\n  cargo xtask check flows --json\n  \
                        cargo xtask check secrets\n  cargo xtask check compliance\n  \
                        cargo xtask check compliance D1 C7")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Judge the flows before Node-RED loads them; exit 1 with all findings
    Flows,
    /// Look for secrets in the history of the repository, and in what is changed and not committed
    Secrets(secrets::Options),
    /// Judge the files against the catalogue of docs/reference/compliance.md; exit 1 with all findings
    Compliance(compliance::Options),
}

/// # Errors
/// When the judgement cannot be made, or is not good.
pub fn run(context: &Context, options: Options) -> Result<()> {
    match options.what {
        What::Flows => flows::run(context),
        What::Secrets(options) => secrets::run(context, &options),
        What::Compliance(options) => compliance::run(context, &options),
    }
}
