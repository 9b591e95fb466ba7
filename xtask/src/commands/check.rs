//! `cargo xtask check`: offline judgements.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Judge the flows before Node-RED loads them
    Flows,
}

/// # Errors
/// When the judgement cannot be made, or is not good.
pub fn run(_context: &Context, options: Options) -> Result<()> {
    match options.what {
        What::Flows => Ok(()),
    }
}
