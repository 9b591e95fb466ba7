//! One run at a time on a target.
//!
//! The kernel's lock on the file (`flock`) decides; it ends with its holder, however that ends, so of two that find a
//! dead holder only one gets it. The file's line says who holds it. A line that is left although nobody holds the
//! kernel's lock is of a dead holder. The file is never removed: another might already have it open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use foundation::clock::utc;
use foundation::processes::{ProcessIdentity, host_name, is_alive, this_process};

/// How long a contender waits for the winner's name to appear in the file, or for a killed holder to be gone.
const NAMING: Duration = Duration::from_secs(1);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The user's name.
    pub who: String,
    pub host: String,
    pub process: ProcessIdentity,
    /// The command as typed: `cargo xtask dev`.
    pub command: String,
    /// Seconds since 1970.
    pub since: u64,
}

impl Holder {
    /// This process, running `command`.
    pub fn this(command: &str) -> Self {
        Self {
            who: user_name(),
            host: host_name(),
            process: this_process(),
            command: command.to_owned(),
            since: foundation::clock::now_ms() / 1000,
        }
    }

    /// Whether it still runs, as far as this machine can tell: one of another boot does not.
    pub fn is_alive(&self) -> bool {
        is_alive(&self.process)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { who, host, process, command, since } = self;
        write!(out, "{who}@{host}, process {}, `{command}`, since {}", process.pid, utc(*since))
    }
}

/// Who runs this: the account on GitHub, the user behind sudo, or the user.
pub fn user_name() -> String {
    ["GITHUB_ACTOR", "SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The dead holder that it was taken from.
    pub reclaimed_from: Option<Holder>,
}

impl Lock {
    /// Takes the lock `path`, whose folder must exist.
    ///
    /// # Errors
    /// When a living process holds it (the error names it), the file cannot be read and written, or does not hold
    /// what this program writes.
    pub fn take(path: &Path, holder: &Holder) -> Result<Self> {
        let mut file = open(path)?;
        lock(&file, path)?;
        let before = read(&mut file, path)?;
        if let Some(living) =
            before.as_ref().filter(|before| before.is_alive() && before.process != holder.process)
        {
            // Only where the file system has no working locks.
            return Err(held(path, living));
        }
        let mut line = serde_json::to_string(holder)?;
        line.push('\n');
        write(&mut file, line.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, reclaimed_from: before })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // When this fails the line stays, and the next one reclaims it.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// # Errors
/// When a living process holds the lock at `path`, as [`Lock::take`] says it; when it cannot be read.
pub fn refuse_held(path: &Path) -> Result<()> {
    match holder(path)? {
        Some(holder) => Err(held(path, &holder)),
        None => Ok(()),
    }
}

fn held(path: &Path, holder: &Holder) -> anyhow::Error {
    anyhow!("{} is held by {holder}; wait for it or stop it", path.display())
}

/// A lock as somebody finds it who does not want it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "holder", rename_all = "lowercase")]
pub enum Found {
    Free,
    Held(Holder),
    /// Its holder was killed, or the machine was restarted.
    Dead(Holder),
}

/// Observes the lock at `path`.
///
/// # Errors
/// When the file cannot be read, or does not hold what this program writes.
pub fn find(path: &Path) -> Result<Found> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Free),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Ok(match read(&mut file, path)? {
        None => Found::Free,
        Some(holder) if holder.is_alive() => Found::Held(holder),
        Some(holder) => Found::Dead(holder),
    })
}

/// Observes who holds the lock at `path` now.
///
/// # Errors
/// As [`find`].
pub fn holder(path: &Path) -> Result<Option<Holder>> {
    Ok(match find(path)? {
        Found::Held(holder) => Some(holder),
        Found::Free | Found::Dead(_) => None,
    })
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
        .with_context(|| {
            format!(
                "cannot open the lock {} for writing; give this user (uid {}) access to it and its folder",
                path.display(),
                rustix::process::geteuid().as_raw()
            )
        })
}

fn write(file: &mut File, line: &[u8]) -> std::io::Result<()> {
    // In this order a kill in between leaves a whole first line.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line)?;
    file.set_len(line.len() as u64)
}

fn read(file: &mut File, path: &Path) -> Result<Option<Holder>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text).with_context(|| format!("cannot read the lock {}", path.display()))?;
    let Some(line) = text.lines().next().filter(|line| !line.trim().is_empty()) else { return Ok(None) };
    let holder = serde_json::from_str(line).with_context(|| {
        format!(
            "{}: expected one JSON line that names a holder; remove the file if no other run is active",
            path.display()
        )
    })?;
    Ok(Some(holder))
}

/// Takes the kernel's lock. A living holder is an error at once; one without a living name gets a moment: it has just
/// won and not written its name yet, or was killed and is not quite gone.
fn lock(file: &File, path: &Path) -> Result<()> {
    let give_up = Instant::now() + NAMING;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let named = holder(path);
        if let Ok(Some(holder)) = &named {
            return Err(held(path, holder));
        }
        if Instant::now() >= give_up {
            named?;
            bail!("{} is held by a process that has not written its name yet; try again", path.display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lock of the target whose folder is `folder`.
pub fn path_in(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn dead_holder() -> Holder {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let this = Holder::this("cargo xtask dev");
        Holder { process: ProcessIdentity { pid, ..this.process }, ..this }
    }

    #[test]
    fn a_living_holder_is_named_and_a_released_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        let first = Lock::take(&path, &Holder::this("cargo xtask deploy")).unwrap();
        assert!(first.reclaimed_from.is_none());
        let error = Lock::take(&path, &Holder::this("cargo xtask dev")).unwrap_err().to_string();
        let pid = std::process::id().to_string();
        for part in [path.to_str().unwrap(), "`cargo xtask deploy`", &pid, &user_name(), &host_name()] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert_eq!(holder(&path).unwrap().unwrap().command, "cargo xtask deploy");
        drop(first);
        assert_eq!(holder(&path).unwrap(), None);
        assert!(Lock::take(&path, &Holder::this("x")).unwrap().reclaimed_from.is_none());
    }

    #[test]
    fn of_many_that_find_a_dead_holder_one_reclaims_it() {
        let gone = dead_holder();
        let this = Holder::this("x");
        let other_start =
            ProcessIdentity { start_ticks: this.process.start_ticks + 1, ..this.process.clone() };
        let other_boot = ProcessIdentity { boot: "an earlier boot".into(), ..this.process };
        for process in [gone.process.clone(), other_start, other_boot] {
            let dead = Holder { process, ..gone.clone() };
            let folder = tempfile::tempdir().unwrap();
            let path = path_in(folder.path());
            std::fs::write(&path, serde_json::to_string(&dead).unwrap() + "\n").unwrap();
            assert_eq!(find(&path).unwrap(), Found::Dead(dead.clone()));
            let contenders = 8;
            let start = Barrier::new(contenders);
            let taken: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..contenders)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            Lock::take(&path, &Holder::this("contender"))
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (won, lost): (Vec<_>, Vec<_>) = taken.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1);
            assert_eq!(won[0].as_ref().unwrap().reclaimed_from.as_ref(), Some(&dead));
            for error in lost {
                let error = error.unwrap_err().to_string();
                assert!(error.contains("`contender`"), "names the new holder, not the dead one: {error}");
            }
        }
    }

    #[test]
    fn a_malformed_lock_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        std::fs::write(&path, "me!\n").unwrap();
        let error = format!("{:#}", Lock::take(&path, &Holder::this("x")).unwrap_err());
        assert!(error.contains("expected one JSON line") && error.contains("remove the file"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "me!\n", "evidence is kept");
    }

    #[test]
    fn a_lock_that_cannot_be_written_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        std::fs::create_dir(&path).unwrap();
        let error = format!("{:#}", Lock::take(&path, &Holder::this("x")).unwrap_err());
        assert!(error.contains("cannot open the lock") && error.contains("for writing"), "{error}");
    }
}
