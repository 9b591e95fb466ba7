//! The command line, in users' words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Develop, check, release, deploy and watch the Flowship platform.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// The tree to work on [default: the nearest folder upwards that holds ops/environments]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print the result as JSON on stdout; progress and errors stay on stderr
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the files that derive from the platform
    Generate(crate::commands::generate::Options),
    /// Show each external program: found, version, where, what it is for, how to get it
    Doctor(Doctor),
    /// Show and check what the environments' files say
    Environment(crate::commands::environment::Options),
    /// Judge files without running anything
    Check(crate::commands::check::Options),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask doctor\n  cargo xtask doctor --json\n  cargo xtask doctor --install\n  cargo xtask doctor --install zizmor dbmate"
)]
pub struct Doctor {
    /// Install what is pinned and missing: all of it, or only the named programs (`modules`: the npm modules)
    #[arg(long, value_name = "PROGRAM", num_args = 0..)]
    pub install: Option<Vec<String>>,
}
