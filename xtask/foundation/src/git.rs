//! Asks git about a tree.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Result, anyhow, bail};

/// Variables by which a hook's git names its own repository, whatever folder it is asked in.
pub const OF_ANOTHER_REPOSITORY: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// # Errors
/// When git cannot be run; that it fails, the output says.
pub fn ask(root: &Path, arguments: &[&str]) -> Result<Output> {
    let mut git = Command::new("git");
    for name in OF_ANOTHER_REPOSITORY {
        git.env_remove(name);
    }
    // It must not write where it is only asked: a run beside it may hold the index.
    git.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").stdin(Stdio::null());
    // A repository's own settings may name a program that is to watch its files.
    git.args(["-c", "core.fsmonitor=false"])
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| anyhow!("git cannot be run: {error}; install git"))
}

/// What it printed.
///
/// # Errors
/// When git cannot be run, or fails; with what it says.
pub fn printed(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = ask(root, arguments)?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), said(&output));
    }
    Ok(output.stdout)
}

/// What it said when it failed.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
