//! Which files belong to a tree.
//!
//! A checkout or a worktree inside the tree is somebody else's work, and so is what git ignores: neither is looked into.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use walkdir::{DirEntry, WalkDir};

use crate::git;

/// Folders that hold no source: builds, running state, what package managers bring.
pub const SKIPPED: [&str; 5] = [".git", "target", ".flowship", "rendered", "node_modules"];

/// Whose ignored files are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Those of the tree's own `.gitignore` files, which are the same for everybody.
    ByTree,
    /// Those of the user's settings and of `.git/info/exclude`, too.
    ByAnybody,
}

/// Why git's index cannot be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum NoIndex {
    /// The tree is in no repository, or ignored by the one that it is in.
    NoRepository,
    /// git is missing or refuses.
    Failed(String),
}

/// What git tracks, by path below the root.
///
/// # Errors
/// When there is no index that could be asked.
pub fn tracked(root: &Path) -> Result<Vec<PathBuf>, NoIndex> {
    Ok(split(&asked(root, &["ls-files", "-z", "--cached"])?).map(PathBuf::from).collect())
}

/// Every source file of the tree, by path below the root, sorted: what git tracks or would add. A submodule is listed by the
/// name of its folder. Without a repository these are all files but those in [`SKIPPED`] folders and in other checkouts.
/// What is listed need not exist.
///
/// # Errors
/// When the tree cannot be walked.
pub fn sources(root: &Path, ignored: Ignored) -> Result<Vec<PathBuf>> {
    let Some(listed) = listed(root, ignored) else { return walked(root, Path::new("")) };
    let mut paths: Vec<_> = split(&listed)
        // A checkout that git does not look into, because it is another one.
        .filter(|name| !name.as_bytes().ends_with(b"/"))
        .map(PathBuf::from)
        .filter(|path| !path.iter().any(|part| SKIPPED.iter().any(|skipped| part == *skipped)))
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Every file below a folder of the tree, by path below the root, sorted, but those in [`SKIPPED`] folders and in other
/// checkouts.
///
/// # Errors
/// When it cannot be walked.
pub fn walked(root: &Path, below: &Path) -> Result<Vec<PathBuf>> {
    let entries = WalkDir::new(root.join(below)).sort_by_file_name().into_iter();
    let mut paths = Vec::new();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry)) {
        let entry = entry.context("cannot walk the tree")?;
        if !entry.file_type().is_dir() {
            paths.push(entry.path().strip_prefix(root).context("an entry lies below the root")?.to_owned());
        }
    }
    Ok(paths)
}

/// Whether the folder is a checkout or a worktree of its own.
pub fn is_checkout(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

fn is_skipped(entry: &DirEntry) -> bool {
    SKIPPED.iter().any(|skipped| entry.file_name() == *skipped)
        || entry.file_type().is_dir() && is_checkout(entry.path())
}

fn split(listed: &[u8]) -> impl Iterator<Item = &OsStr> {
    listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(OsStr::from_bytes)
}

fn listed(root: &Path, ignored: Ignored) -> Option<Vec<u8>> {
    // In an ignored folder git would list nothing.
    if asked(root, &["check-ignore", "--quiet", "."]).is_ok() {
        return None;
    }
    let rules = match ignored {
        Ignored::ByTree => "--exclude-per-directory=.gitignore",
        Ignored::ByAnybody => "--exclude-standard",
    };
    asked(root, &["ls-files", "-z", "--cached", "--others", rules]).ok()
}

fn asked(root: &Path, arguments: &[&str]) -> Result<Vec<u8>, NoIndex> {
    let output = git::ask(root, arguments).map_err(|error| NoIndex::Failed(format!("{error:#}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = git::said(&output);
    if said.contains("not a git repository") {
        return Err(NoIndex::NoRepository);
    }
    Err(NoIndex::Failed(said.lines().next().unwrap_or("git failed").to_owned()))
}
