//! `cargo xtask release`: a release, from its plan to its verification.

mod package;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

/// Where `release package` puts a release, below the root.
const FOLDER: &str = "target/release-artifacts";

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release package --images none --unsigned\n  cargo xtask release verify target/release-artifacts"
)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a release of the commit that is checked out
    Package(package::Options),
    /// See that the files of a release are what was released
    Verify(verify::Options),
}

/// # Errors
/// As the subcommand says.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::Package(options) => package::run(context, options),
        What::Verify(options) => verify::run(context, options),
    }
}
