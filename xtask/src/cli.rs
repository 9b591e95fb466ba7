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
    Doctor(crate::commands::doctor::Options),
    /// Show and check what the environments' files say
    Environment(crate::commands::environment::Options),
    /// Judge files without running anything
    Check(crate::commands::check::Options),
    /// Own the processes of the process engine; started by the commands that need it
    #[command(hide = true)]
    Supervise(crate::commands::supervise::Options),
}
