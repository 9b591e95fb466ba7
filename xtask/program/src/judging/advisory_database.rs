//! The RustSec advisory database: given, kept in the cache, or fetched.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::tools::{Program, Toolbox};
use foundation::clock;
use foundation::exit::refused;
use foundation::files::temporary;
use judges::checks::advisories;

/// Names a database that is at hand: a folder, or a `.tar.gz` of one.
pub const GIVEN: &str = "FLOWSHIP_ADVISORY_DB";

/// Where it is published.
const PUBLISHED: &str = "https://github.com/RustSec/advisory-db";

/// A fetched one is used for so long before it is fetched again.
const FRESH: Duration = Duration::from_secs(86_400);

/// A database on this machine.
#[derive(Debug)]
pub struct Database {
    pub folder: PathBuf,
    /// In words, for who reads the judgement.
    pub origin: String,
    /// The day of its newest advisory: what was published later it cannot know.
    pub newest: String,
    /// Holds what was unpacked for this run.
    _scratch: Option<TempDir>,
}

impl Database {
    /// Days since its newest advisory.
    pub fn age_days(&self) -> u64 {
        clock::age_days(&self.newest)
    }
}

/// The given one, else a fresh one of the cache, else the published one; when that cannot be fetched, an older one of
/// the cache.
///
/// # Errors
/// Refused when the given one is none; otherwise when there is none at all.
pub fn obtain(toolbox: &Toolbox, given: Option<&Path>) -> Result<Database> {
    if let Some(given) = given {
        return from(given).map_err(|error| {
            refused(format!("{}: {error:#}; expected the RustSec advisory database", given.display()))
        });
    }
    let shelf = toolbox.cache.join("advisory-db");
    let kept = newest_of(&shelf);
    if let Some((fetched, folder)) = &kept
        && clock::now_ms() / 1000 < fetched + FRESH.as_secs()
    {
        return opened(folder, format!("fetched {}", clock::utc(*fetched)), None);
    }
    match fetch(toolbox, &shelf) {
        Ok(folder) => opened(&folder, format!("fetched from {PUBLISHED}"), None),
        Err(error) => match kept {
            Some((fetched, folder)) => {
                eprintln!("{PUBLISHED}: {error:#}; using an older copy");
                opened(&folder, format!("fetched {}", clock::utc(fetched)), None)
            }
            None => Err(error.context(format!(
                "no advisory database: pass one with --advisory-db or {GIVEN}, or let this machine reach {PUBLISHED}"
            ))),
        },
    }
}

/// Whether [`obtain`] has something to go by. Fetches nothing.
///
/// # Errors
/// Why not.
pub fn within_reach(toolbox: &Toolbox) -> Result<()> {
    let given = std::env::var_os(GIVEN).is_some_and(|path| !path.is_empty());
    if given || newest_of(&toolbox.cache.join("advisory-db")).is_some() {
        return Ok(());
    }
    let asked =
        git(toolbox, &["ls-remote".as_ref(), "--quiet".as_ref(), PUBLISHED.as_ref(), "HEAD".as_ref()], 15);
    asked.map(|_| ()).with_context(|| {
        format!("{PUBLISHED} cannot be reached; set {GIVEN} to a copy of it, a folder or a .tar.gz")
    })
}

fn from(given: &Path) -> Result<Database> {
    let origin = format!("given, {}", given.display());
    if given.is_dir() {
        return opened(given, origin, None);
    }
    let scratch = temporary::folder("flowship-advisories-")?;
    let archive = flate2::read::GzDecoder::new(File::open(given)?);
    tar::Archive::new(archive).unpack(scratch.path()).context("it cannot be unpacked as .tar.gz")?;
    let folder = scratch.path().to_owned();
    opened(&folder, origin, Some(scratch))
}

/// A database in this folder or in the only one below it that holds one.
fn opened(folder: &Path, origin: String, scratch: Option<TempDir>) -> Result<Database> {
    let below = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = [folder.to_owned()].into_iter().chain(below).find(|place| place.join("crates").is_dir());
    let folder = found.context("it holds no folder crates")?;
    let mut newest = String::new();
    for entry in walkdir::WalkDir::new(folder.join("crates")) {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "md") {
            let text =
                fs::read_to_string(entry.path()).with_context(|| entry.path().display().to_string())?;
            newest = newest.max(advisories::day(&text).unwrap_or_default().to_owned());
        }
    }
    if newest.is_empty() {
        bail!("it holds no advisory");
    }
    Ok(Database { folder, origin, newest, _scratch: scratch })
}

/// The copy that was fetched last, and when, in seconds since 1970: each is a folder named for that.
fn newest_of(shelf: &Path) -> Option<(u64, PathBuf)> {
    let entries = fs::read_dir(shelf).ok()?.flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).max()
}

fn fetch(toolbox: &Toolbox, shelf: &Path) -> Result<PathBuf> {
    fs::create_dir_all(shelf).with_context(|| shelf.display().to_string())?;
    let stage = tempfile::Builder::new().prefix(".fetch-").tempdir_in(shelf)?;
    let made = stage.path().join("made");
    let clone = ["clone", "--quiet", "--depth=1", "--single-branch", "--no-tags", PUBLISHED].map(OsStr::new);
    git(toolbox, &[&clone[..], &[made.as_os_str()]].concat(), 120)?;
    let folder = shelf.join((clock::now_ms() / 1000).to_string());
    // Two at once in one second bring the same.
    if fs::rename(&made, &folder).is_err() && !folder.is_dir() {
        bail!("{}: cannot be put in its place", folder.display());
    }
    // Those of earlier days are of no use; one that is read right now stays readable until the next fetch.
    for entry in fs::read_dir(shelf)?.flatten() {
        let fetched = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if fetched.is_some_and(|fetched| fetched + 2 * FRESH.as_secs() < clock::now_ms() / 1000) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(folder)
}

/// Runs git without asking anybody anything, for at most so many seconds.
fn git(toolbox: &Toolbox, arguments: &[&OsStr], seconds: u64) -> Result<()> {
    let program = toolbox.path(Program::Git)?;
    let handle = duct::cmd(&program, arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin_null()
        .stdout_null()
        .stderr_capture()
        .unchecked()
        .start()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    let Some(output) = handle.wait_timeout(Duration::from_secs(seconds))? else {
        handle.kill()?;
        bail!("git did not answer within {seconds} s");
    };
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
