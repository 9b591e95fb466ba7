//! `cargo xtask release`: a release, from its plan to its verification.

mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask release verify target/release-artifacts")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// See that the files of a release are what was released
    Verify(verify::Options),
}

/// # Errors
/// As the subcommand says.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::Verify(options) => verify::run(context, options),
    }
}
