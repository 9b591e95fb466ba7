//! `cargo xtask measure`: what has a threshold in `ops/ci/` is measured and judged by it. What has none is a figure:
//! `cargo xtask bench` publishes those.

mod coverage;
mod figures;
mod instructions;
pub mod requests;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask measure coverage rust
  cargo xtask measure instructions --json")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check test coverage against ops/ci/coverage.toml
    Coverage(coverage::Options),
    /// Check the instruction counts of the hot paths against those recorded for this compiler
    Instructions(instructions::Options),
    /// Check Node-RED's request rate in our launcher against bare Node-RED's
    Requests(requests::Options),
    /// Do one hot path, so often: what is counted
    #[command(hide = true)]
    Work(instructions::WorkOptions),
}

impl Options {
    /// See [`runner::plan::register`]. What is counted does nothing besides.
    pub fn is_registered(&self) -> bool {
        !matches!(self.what, What::Work(_))
    }
}

/// # Errors
/// Reported when a threshold is missed; refused when one cannot be read.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::Coverage(options) => coverage::run(context, options),
        What::Instructions(options) => instructions::run(context, options),
        What::Requests(options) => requests::run(context, options),
        What::Work(options) => instructions::work(context, options),
    }
}
