//! `cargo xtask measure`: what has a threshold in `ops/ci/` is measured and judged by it. What has none is a figure:
//! `cargo xtask bench` publishes those.

mod coverage;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask measure coverage rust\n  cargo xtask measure coverage rust --record\n  \
                        cargo xtask measure coverage javascript --report flows.lcov --json"
)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How much of each room the tests run, against ops/ci/coverage.toml
    Coverage(coverage::Options),
}

/// # Errors
/// Reported when a threshold is missed; refused when one cannot be read.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::Coverage(options) => coverage::run(context, options),
    }
}
