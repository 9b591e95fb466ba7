//! The user's cache of installed tools: where it is, one writer per entry, entries appear whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::manifest::{self, State};
use super::progress::Progress;
use foundation::exit::refused;

const SET_CACHE: &str = "set FLOWSHIP_CACHE to a folder you can write";

/// `$FLOWSHIP_CACHE`, else `$XDG_CACHE_HOME/flowship`, else `~/.cache/flowship`. Pure; `variable` reads the
/// environment. Relative values of the last two do not count, as the XDG base directory specification has it.
pub fn folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    variable("FLOWSHIP_CACHE")
        .filter(|path| !path.as_os_str().is_empty())
        .or_else(|| absolute("XDG_CACHE_HOME").map(|path| path.join("flowship")))
        .or_else(|| absolute("HOME").map(|path| path.join(".cache/flowship")))
}

/// The folder of this process, absolute.
///
/// # Errors
/// Refused when no variable tells one.
pub fn found() -> Result<PathBuf> {
    let folder = folder(|name| std::env::var_os(name).map(PathBuf::from)).ok_or_else(|| {
        refused("nowhere to install tools: HOME is not set; set HOME or FLOWSHIP_CACHE to an absolute folder")
    })?;
    Ok(std::path::absolute(folder)?)
}

/// One entry of the cache while it is made: nobody else makes it as long as this lives.
pub struct Entry {
    /// Held, not read: closing it unlocks. A child that has a copy keeps the lock until it ends too.
    lock: File,
    /// Where the entry is to appear.
    destination: PathBuf,
    stamp: PathBuf,
    /// A folder beside it for what is being made, removed with this value.
    stage: TempDir,
}

impl Entry {
    /// Waits for the right to make `shelf/key`, shown as the subject, sweeps what killed makers left, and gives a fresh
    /// stage; none when the entry is there already as it was installed. One that is not is set aside, or removed
    /// when nothing says what it was.
    ///
    /// # Errors
    /// The cache cannot be written, or the wait was cancelled.
    pub fn begin(
        cache: &Path,
        shelf: &str,
        key: &str,
        subject: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        let before = match state(cache, shelf, key) {
            State::Whole => return Ok(None),
            State::Changed(how) => format!("{subject}: {how}: "),
            State::Absent | State::Unlisted => String::new(),
        };
        let (folder, locks) = (cache.join(shelf), cache.join("locks"));
        for folder in [&folder, &locks] {
            fs::create_dir_all(folder)
                .with_context(|| format!("{before}cannot create {}; {SET_CACHE}", folder.display()))?;
        }
        let lock = locks.join(format!("{key}.lock"));
        let file = opened(&lock)
            .with_context(|| format!("{before}cannot open {} for locking; {SET_CACHE}", lock.display()))?;
        let (lock, waited) = take(file, &lock, subject, progress)?;
        let destination = folder.join(key);
        match state(cache, shelf, key) {
            State::Whole => {
                if waited {
                    progress.finished(subject, "installed by another run");
                }
                return Ok(None);
            }
            State::Changed(how) => {
                let aside = set_aside(cache, &destination, key)?;
                let text = format!("{how}; it was moved to {} and will be installed again", aside.display());
                progress.waiting(subject, &text);
            }
            State::Absent | State::Unlisted => {}
        }
        let prefix = format!(".{key}.");
        for found in fs::read_dir(&folder)? {
            let found = found?;
            if found.file_name() == *key || found.file_name().to_string_lossy().starts_with(&prefix) {
                remove(&found.path()).with_context(|| {
                    format!("{} is incomplete and cannot be removed", found.path().display())
                })?;
            }
        }
        let stage = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempdir_in(&folder)?;
        Ok(Some(Self { lock, destination, stamp: stamp(cache, key), stage }))
    }

    pub fn stage(&self) -> &Path {
        self.stage.path()
    }

    /// A copy of the lock's file, for a child that must be waited for even when this process is killed.
    pub fn lock(&self) -> Result<File> {
        Ok(self.lock.try_clone()?)
    }

    /// Makes the finished folder, which is somewhere in the stage, the entry, with a list of its files.
    ///
    /// # Errors
    /// It cannot be read or moved, such as on a full disk.
    pub fn finish(self, made: &Path) -> Result<PathBuf> {
        manifest::write(made)?;
        fs::rename(made, &self.destination)
            .with_context(|| format!("{}: cannot be put in its place", self.destination.display()))?;
        manifest::remember(&self.destination, &self.stamp);
        Ok(self.destination.clone())
    }
}

/// What became of the entry `shelf/key`.
pub fn state(cache: &Path, shelf: &str, key: &str) -> State {
    manifest::look(&cache.join(shelf).join(key), &stamp(cache, key))
}

fn stamp(cache: &Path, key: &str) -> PathBuf {
    cache.join("verified").join(key)
}

/// Keeps what somebody may want to look at; the one of an earlier time makes room.
fn set_aside(cache: &Path, entry: &Path, key: &str) -> Result<PathBuf> {
    let aside = cache.join("changed").join(key);
    let act = || -> std::io::Result<()> {
        fs::create_dir_all(cache.join("changed"))?;
        if fs::symlink_metadata(&aside).is_ok() {
            remove(&aside)?;
        }
        fs::rename(entry, &aside)
    };
    act().with_context(|| {
        format!(
            "{} has changed since it was installed, and cannot be moved to {}",
            entry.display(),
            aside.display()
        )
    })?;
    Ok(aside)
}

/// A folder with all in it, or a file that is where one belongs. Follows no link.
fn remove(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn opened(lock: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(lock)
}

fn take(mut file: File, path: &Path, subject: &str, progress: &dyn Progress) -> Result<(File, bool)> {
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
            }
            Err(TryLockError::WouldBlock) if progress.cancelled() => bail!("{subject}: cancelled"),
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            let mut holder = String::new();
            file.rewind()?;
            file.read_to_string(&mut holder)?;
            progress.waiting(
                subject,
                &format!("waiting for another run of this program (pid {})", holder.trim()),
            );
            told = true;
        }
        // Not a blocking lock: that could not be cancelled.
        std::thread::sleep(Duration::from_millis(50));
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok((file, told))
}

/// The bytes of all files below a folder.
pub fn bytes(folder: &Path) -> u64 {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|metadata| metadata.is_file())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::progress::Lines;

    #[test]
    fn the_cache_is_where_the_user_says() {
        for (set, expected) in [
            (&[("FLOWSHIP_CACHE", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")][..], Some("/a")),
            (&[("FLOWSHIP_CACHE", ""), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")], Some("/b/flowship")),
            (&[("XDG_CACHE_HOME", "b"), ("HOME", "/c")], Some("/c/.cache/flowship")),
            (&[], None),
        ] {
            let variable = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
            };
            assert_eq!(folder(variable), expected.map(PathBuf::from), "{set:?}");
        }
    }

    #[test]
    fn an_entry_appears_whole_and_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = cache.path().join("tools");
        fs::create_dir_all(shelf.join(".a-1.killed.part/half")).unwrap();
        let begin = || Entry::begin(cache.path(), "tools", "a-1", "a", &Lines).unwrap();
        let entry = begin().unwrap();
        let made = entry.stage().join("made");
        fs::create_dir(&made).unwrap();
        assert!(!shelf.join("a-1").exists());
        entry.finish(&made).unwrap();
        let names: Vec<_> = fs::read_dir(&shelf).unwrap().map(|found| found.unwrap().file_name()).collect();
        assert_eq!(names, ["a-1"]);
        assert!(begin().is_none());
    }
}
