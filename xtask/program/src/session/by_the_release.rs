//! Has the program of the release that runs carry a command out: it knows what runs.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use foundation::exit::refused;
use vocabulary::problem::listing;

use super::deploying::By;
use crate::context::Context;
use crate::deployment::history;
use crate::deployment::releases::Installed;
use crate::deployment::{Deployed, STATE};

/// How such a command is called.
#[derive(Debug, clap::Args)]
pub struct Called {
    /// Only show the steps
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub by: By,
    /// The folder of the running release: how another program calls its own
    #[arg(long, value_name = "DIR", hide = true)]
    installed: Option<PathBuf>,
}

impl Called {
    /// The release whose program this is, where another one has called it.
    pub fn own(&self) -> Option<Installed> {
        self.installed.as_deref().map(Installed::in_folder)
    }
}

/// The release that runs, whole.
///
/// # Errors
/// Refused when nothing was deployed, or files of it differ.
pub fn installed(deployed: &Deployed) -> Result<Installed> {
    deployed.site()?;
    let name = &deployed.name;
    let entries = history::read(&deployed.folder())?;
    let current = history::current(&entries);
    let current = current.ok_or_else(|| refused(format!("no release has been deployed to {name}")))?;
    let installed = Installed::at(&deployed.releases(), current);
    let problems = installed.problems();
    if !problems.is_empty() {
        return Err(refused(format!("{name} was not touched:\n{}", listing(&problems))));
    }
    Ok(installed)
}

/// Its program takes the place of this process, with these words, how it was called, and the folder of the release.
///
/// # Errors
/// That program cannot be started.
pub fn run<I: AsRef<std::ffi::OsStr>>(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    words: impl IntoIterator<Item = I>,
    called: &Called,
) -> Result<()> {
    let program: &Path = &installed.program();
    let mut command = Command::new(program);
    command.arg("--root").arg(installed.tree()).args(words).args(called.dry_run.then_some("--dry-run"));
    command.arg("--installed").arg(&installed.folder);
    command.args(context.json.then_some("--json")).args(called.by.words());
    let error = command.env(STATE, &deployed.state).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
