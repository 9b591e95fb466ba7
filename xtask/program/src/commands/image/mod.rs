//! `cargo xtask image`: the container images, from their bases to what a reviewer asks of them.

mod bases;
pub mod build;
mod carry;
mod list;
mod save;
mod scan;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask image list
  cargo xtask image bases --from-packages
  cargo xtask image build --stand-ins
  cargo xtask image scan")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the base images, or build stand-ins for them without a registry
    Bases(bases::Options),
    /// Build the platform's own images
    Build(build::Options),
    /// List the images: origin, id, size, layers
    List,
    /// Check the built images: Dockerfiles, secrets, contents, users, size
    Scan(scan::Options),
    /// Write built images to files
    Save(save::Options),
    /// Check that images, in the engine or in files, are the ones that were built
    Verify(verify::Options),
}

/// # Errors
/// As the subcommand says.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        What::Bases(options) => bases::run(context, options),
        What::Build(options) => build::run(context, options),
        What::List => list::run(context),
        What::Scan(options) => scan::run(context, options),
        What::Save(options) => save::run(context, options),
        What::Verify(options) => verify::run(context, options),
    }
}
