//! A deployed environment on this machine: where its state is, its releases, and its history. What a deploy does is the
//! engine's business (`engines/`); this room only keeps what outlives a deploy.

pub mod contracted;
pub mod history;
pub mod metrics;
pub mod releases;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;

use crate::engines::process::instance::releases_in;
use foundation::digest;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use judges::site;
use runner::plan::lock;

/// The variable that names another folder for the state of all environments.
pub const STATE: &str = "FLOWSHIP_STATE";

/// The site's file, as it was deployed.
pub const SITE: &str = "environment.toml";
/// The same as it was deployed last, while a release runs that does not understand it.
const NEWER: &str = "environment.newer.toml";

/// An environment as it lives on this machine.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub name: String,
    /// Of all environments: plans keep their locks and logs below it.
    pub state: PathBuf,
}

impl Deployed {
    /// The environment of this name: below `FLOWSHIP_STATE`, or `/var/lib/flowship` for root, or the user's state folder
    /// (XDG Base Directory Specification 0.8).
    ///
    /// # Errors
    /// Refused when there is no place for its state, or the name is none.
    pub fn of(name: &str) -> Result<Self> {
        let label = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !label {
            return Err(refused(format!(
                "no environment {name:?}; expected lower-case letters, digits and dashes, as the files in {} are named",
                site::FOLDER
            )));
        }
        Ok(Self { name: name.to_owned(), state: state()? })
    }

    /// The environment of this name, when something was deployed to it on this machine. Where nothing was, the name means a
    /// platform that a checkout runs.
    pub fn found(name: &str) -> Option<Self> {
        Self::of(name).ok().filter(|deployed| deployed.site().is_ok())
    }

    pub fn folder(&self) -> PathBuf {
        self.state.join(&self.name)
    }

    /// The lock of what changes it.
    pub fn lock(&self) -> PathBuf {
        lock::path_in(&self.folder())
    }

    pub fn releases(&self) -> PathBuf {
        releases_in(&self.folder())
    }

    /// The environment's file as it was deployed last.
    ///
    /// # Errors
    /// Refused when nothing was deployed.
    pub fn site(&self) -> Result<PathBuf> {
        let path = self.folder().join(SITE);
        if path.is_file() {
            return Ok(path);
        }
        Err(refused(format!(
            "nothing was deployed to {0} on this machine ({1}); `{PROGRAM} deploy {0}` does that",
            self.name,
            self.state.display()
        )))
    }

    /// The environment that this text of its file describes.
    ///
    /// # Errors
    /// Refused with every problem of the text.
    pub fn judged(&self, platform: &Platform, bytes: Vec<u8>) -> Result<Environment> {
        let file = site::SiteFile { path: format!("{}/{}.toml", site::FOLDER, self.name), bytes };
        // A release from before or after this program may have other gates, and must be rolled back to all the same.
        let known = site::Known { gates: None, ..site::known(platform) };
        let judged = site::judge(&[file], &known);
        let (mut environments, _) = judged.map_err(|problems| refused(site::listing(&problems)))?;
        Ok(environments.remove(0))
    }

    /// Puts the text of its file where a deploy reads it, which may still fail; the path. The first text is also what the
    /// environment has.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn propose(&self, bytes: &[u8]) -> Result<PathBuf> {
        let name = format!("{}.toml", &digest::sha256(bytes)[..12]);
        let path = self.folder().join("proposed").join(name);
        files::write::whole(&path, 0o644, bytes)?;
        if !self.folder().join(SITE).exists() {
            self.keep(bytes, None)?;
        }
        Ok(path)
    }

    /// The program of the release that runs, under a name that stays: a system's own supervisor starts it.
    ///
    /// # Errors
    /// The link cannot be written.
    pub fn starts_with(&self, program: &Path) -> Result<()> {
        files::write::link(&self.folder().join("flowship"), program)
    }

    /// The newest text of its file, whether what runs understands it or not.
    ///
    /// # Errors
    /// Refused when nothing was deployed.
    pub fn newest(&self) -> Result<PathBuf> {
        let (site, newer) = (self.site()?, self.folder().join(NEWER));
        Ok(if newer.is_file() { newer } else { site })
    }

    /// Keeps the text of its file for what comes after the deploy that has taken it; `newer` is what it did not understand.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, bytes: &[u8], newer: Option<&[u8]>) -> Result<()> {
        let place = self.folder().join(NEWER);
        if let Some(newer) = newer {
            files::write::whole(&place, 0o644, newer)?;
        }
        files::write::whole(&self.folder().join(SITE), 0o644, bytes)?;
        if newer.is_none() { files::remove(&place) } else { Ok(()) }
    }
}

fn state() -> Result<PathBuf> {
    let given = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |path: PathBuf, name: &str| {
        if path.is_absolute() {
            return Ok(path);
        }
        Err(refused(format!("{name}={}: expected an absolute path", path.display())))
    };
    if let Some(path) = given(STATE) {
        return absolute(path, STATE);
    }
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/lib/flowship").to_owned());
    }
    // The specification says that a relative path is ignored.
    let own = given("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let own = own.or_else(|| Some(given("HOME")?.join(".local/state")));
    own.map(|path| path.join("flowship")).ok_or_else(|| {
        refused(format!("no place for the state of environments: set HOME, XDG_STATE_HOME or {STATE}"))
    })
}
