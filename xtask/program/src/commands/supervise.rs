//! `supervise`: owns the processes of the process engine. Hidden: the commands that need it start it.

use std::path::PathBuf;

use anyhow::Result;

use runner::supervisor;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The supervisor's own folder: lock, control socket, record of children
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
}

/// # Errors
/// As [`supervisor::supervise`].
pub fn run(options: &Options) -> Result<()> {
    supervisor::supervise(&std::path::absolute(&options.state)?)
}
