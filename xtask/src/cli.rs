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
    Generate(Generate),
    /// Show each external program: found, version, where, what it is for, how to get it
    Doctor(Doctor),
    /// Show and check what the environments' files say
    Environment(crate::commands::environment::Options),
    /// Judge files without running anything
    Check(crate::commands::check::Options),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask doctor\n  cargo xtask doctor --json\n  cargo xtask doctor --install"
)]
pub struct Doctor {
    /// Install what is missing and pinned
    #[arg(long)]
    pub install: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask generate\n  cargo xtask generate --check\n  cargo xtask generate --diff \
                        --only workflows"
)]
pub struct Generate {
    /// Write nothing; fail and show the differences when a file is missing, stale, hand-edited or an orphan
    #[arg(long, conflicts_with = "list")]
    pub check: bool,
    /// Write nothing; show what would change
    #[arg(long, conflicts_with = "list")]
    pub diff: bool,
    /// Only this family of files; may be given several times
    #[arg(long, value_name = "FAMILY")]
    pub only: Vec<String>,
    /// List the families
    #[arg(long)]
    pub list: bool,
}
