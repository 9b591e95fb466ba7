//! The root a run works on: a repository, a release bundle or a test fixture.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use vocabulary::model::Platform;

use foundation::exit::refused;
use runner::plan::target::Target;

/// A bundle describes itself in this file; a checkout has none.
const BUNDLE_MARK: &str = "release.json";
/// The folder for the state of a checkout.
const STATE: &str = ".flowship";

/// The options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The checkout to work on [default: the nearest folder, from here upwards, with ops/environments]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print the result as JSON on stdout; progress and errors go to stderr
    #[arg(long, global = true)]
    pub json: bool,
}

/// What every command needs to know of its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Absolute path of the tree that is worked on.
    pub root: PathBuf,
    target: Target,
    /// Results as JSON on stdout.
    pub json: bool,
    /// What is developed, checked and released.
    pub platform: &'static Platform,
}

impl Context {
    /// Of a command that needs no tree: the one that is found, or else the current folder.
    ///
    /// # Errors
    /// When a root is given that is none, or there is no current folder.
    pub fn anywhere(global: &Global, platform: &'static Platform) -> Result<Self> {
        let here = std::env::current_dir()?;
        let root = global.root.clone().or_else(|| find_root(&here)).unwrap_or(here);
        Self::new(&Global { root: Some(root), ..*global }, platform)
    }

    /// # Errors
    /// When no root is given and no folder from the current one upwards looks like one.
    pub fn new(global: &Global, platform: &'static Platform) -> Result<Self> {
        let root = match &global.root {
            Some(root) => root.canonicalize().map_err(|error| {
                refused(format!("--root {}: {error}; give a folder that exists", root.display()))
            })?,
            None => find_root(&std::env::current_dir()?).or_else(around_program).ok_or_else(|| {
                refused(
                    "no Flowship tree here: expected a folder with ops/environments in it or above it; \
                     change into one or pass --root DIR",
                )
            })?,
        };
        let target = Target::Here { state: root.join(STATE) };
        Ok(Self { root, target, json: global.json, platform })
    }

    /// The tree of a release, with the state of all environments of this machine.
    pub fn deployed(tree: PathBuf, state: PathBuf, of: &Self) -> Self {
        Self { root: tree, target: Target::Here { state }, json: of.json, platform: of.platform }
    }

    /// Running state of this checkout: data folders, sockets, journals. Ignored by git, survives `cargo clean`.
    pub fn state(&self) -> &Path {
        self.target.state()
    }

    /// Whether the state is that of the environments that are deployed to this machine, and not of this checkout.
    pub fn is_deployed(&self) -> bool {
        self.state() != self.root.join(STATE)
    }

    /// This machine, with that state.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is a release that was unpacked, and not a checkout: it has no sources.
    pub fn is_bundle(&self) -> bool {
        self.path(BUNDLE_MARK).is_file()
    }

    /// The first of these paths below the root that is a file.
    pub fn existing(&self, candidates: Vec<String>) -> Option<String> {
        candidates.into_iter().find(|path| self.path(path).is_file())
    }

    /// An absolute path below the root.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }
}

/// Where an operator's program lies in its bundle, and is called from elsewhere.
fn around_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    program.parent().filter(|folder| folder.join(BUNDLE_MARK).is_file()).map(Path::to_path_buf)
}

fn find_root(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join("ops/environments").is_dir()).map(Path::to_path_buf)
}
