//! Makes releases of a copy of this checkout's tree, as it is, with what is not committed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use vocabulary::model::ReleasePolicy;

use crate::context::Context;
use foundation::files::{self, Ignored};
use foundation::git;

/// Releases, each made when it is first needed.
pub struct Packages {
    /// The copy of the tree.
    pub tree: PathBuf,
    /// This program without what only a debugger reads: it is copied with each release.
    pub program: PathBuf,
    folder: PathBuf,
    made: BTreeMap<String, PathBuf>,
}

impl Packages {
    /// Copies the tree into `folder`.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn begin(context: &Context, folder: &Path) -> Result<Self> {
        let tree = folder.join("tree");
        for path in files::sources(&context.root, Ignored::ByTree)? {
            copy(&context.root.join(&path), &tree.join(&path))?;
        }
        let program = folder.join("program");
        let own = std::env::current_exe()?;
        let stripped = Command::new("strip").arg("-o").arg(&program).arg(&own).stderr(Stdio::null()).status();
        if !stripped.is_ok_and(|status| status.success()) {
            fs::copy(&own, &program).context("cannot copy this program")?;
        }
        git::printed(&tree, &["init", "--quiet", "--initial-branch", "main"])?;
        commit(&tree)?;
        Ok(Self { tree, program, folder: folder.to_owned(), made: BTreeMap::new() })
    }

    /// Changes the tree that all releases are made of.
    ///
    /// # Errors
    /// As `change`, or when it cannot be committed.
    pub fn change(&self, change: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
        change(&self.tree)?;
        commit(&self.tree)
    }

    /// The folder with the files of a release with this name: the tree after `change`.
    ///
    /// # Errors
    /// When it cannot be made; with what `release package` says.
    pub fn get(&mut self, name: &str, change: &dyn Fn(&Path) -> Result<()>) -> Result<PathBuf> {
        if let Some(made) = self.made.get(name) {
            return Ok(made.clone());
        }
        change(&self.tree)?;
        commit(&self.tree)?;
        let made = Command::new(&self.program)
            .arg("--root")
            .arg(&self.tree)
            .args(["release", "package", "--images", "none", "--unsigned", "--operator-binary"])
            .arg(&self.program)
            .stdin(Stdio::null())
            .output()
            .context("cannot start this program")?;
        if !made.status.success() {
            bail!("release package: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        let to = self.folder.join(format!("release-{}", self.made.len()));
        fs::rename(self.tree.join(ReleasePolicy::ARTIFACTS), &to)
            .with_context(|| format!("cannot move a release to {}", to.display()))?;
        git::printed(&self.tree, &["reset", "--quiet", "--hard", "HEAD~1"])?;
        self.made.insert(name.to_owned(), to.clone());
        Ok(to)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let wrong = || format!("cannot copy {}", from.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(wrong)?;
    }
    match fs::read_link(from) {
        Ok(target) => symlink(target, to).with_context(wrong),
        // Listed, and removed since.
        Err(_) if !from.exists() => Ok(()),
        Err(_) => fs::copy(from, to).map(drop).with_context(wrong),
    }
}

/// Everything, whoever the user is for git.
fn commit(tree: &Path) -> Result<()> {
    git::printed(tree, &["add", "--all"])?;
    let who = ["-c", "user.name=drill", "-c", "user.email=drill@localhost", "-c", "commit.gpgsign=false"];
    let what = ["commit", "--quiet", "--no-verify", "--allow-empty", "--message", "drill"];
    git::printed(tree, &[&who[..], &what].concat()).map(drop)
}
