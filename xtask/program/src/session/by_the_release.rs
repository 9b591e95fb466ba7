//! Has the program of the release that runs carry a command out: it knows what runs.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use foundation::exit::refused;
use vocabulary::problem::listing;

use super::deploying::By;
use crate::context::Context;
use crate::deployment::history;
use crate::deployment::releases::Installed;
use crate::deployment::{Deployed, STATE};

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

/// Its program takes the place of this process, with these words and the folder of the release.
///
/// # Errors
/// That program cannot be started.
pub fn run<I: AsRef<std::ffi::OsStr>>(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    words: impl IntoIterator<Item = I>,
    by: &By,
) -> Result<()> {
    let program: &Path = &installed.program();
    let mut command = Command::new(program);
    command.arg("--root").arg(installed.tree()).args(words).arg("--installed").arg(&installed.folder);
    command.args(context.json.then_some("--json")).args(by.words());
    let error = command.env(STATE, &deployed.state).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
