//! The register of the runs that make something for themselves only: a private platform, a temporary folder, programs
//! that they start.
//!
//! `kill -9` gives a run no chance to clean up. So it writes a record before it makes anything, and the next command of
//! the checkout finds the record without its run. A run bears its own mark, so that all that it starts inherits the mark
//! (see [`leftovers`]), and has a folder of its own for temporary files, which its children use too.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::leftovers;
use foundation::files;
use foundation::processes::{self, ProcessIdentity};

/// The folder of the records, below the state folder.
const FOLDER: &str = "runs";
/// A record longer than this many bytes is none of ours.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    process: ProcessIdentity,
    /// The command as typed.
    command: String,
    /// A platform under a name that is not the run's own, which goes with the run nevertheless.
    target: Option<String>,
    /// The folder for temporary files.
    temporary: Option<PathBuf>,
}

/// This run, on the register until it is dropped; its temporary files go then.
#[derive(Debug)]
pub struct Registered {
    state: PathBuf,
    record: Record,
    /// Tells those who share the checkout, but not the ids of processes, that this run goes on.
    _lock: File,
}

impl Registered {
    /// Registers this run, which begins anew once with its mark: safe Rust cannot change its own environment. None where
    /// the state folder cannot be written: then nothing can be registered there.
    pub fn begin(state: &Path, command: &str, target: Option<&str>) -> Option<Self> {
        let process = processes::this_process();
        let path = path_of(state, &process);
        if !leftovers::bears_mark() {
            let record = Record {
                command: command.to_owned(),
                target: target.map(str::to_owned),
                temporary: Some(std::env::temp_dir().join(format!("flowship-{}", suffix(&process)))),
                process,
            };
            write(&path, &record).ok()?;
            let mut again = Command::new("/proc/self/exe");
            if let Some(folder) = record.temporary.as_ref().filter(|folder| make_temporary(folder).is_ok()) {
                again.env("TMPDIR", folder);
            }
            let mut words: Vec<OsString> = std::env::args_os().collect();
            if !words.is_empty() {
                again.arg0(words.remove(0));
            }
            // Only returns when the system refuses. Then what it starts is not marked, and the rest holds.
            let _ = again.args(words).env(leftovers::MARK, leftovers::mark()).exec();
        }
        let (lock, record) = read(&path).ok()?;
        lock.lock().ok()?;
        Some(Self { state: state.to_owned(), record, _lock: lock })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let gone = self.record.remove_temporary();
        // A platform that could not be ended is the next command's to end.
        if gone.is_ok() && targets(&self.state, &self.record).is_empty() {
            let _ = fs::remove_file(path_of(&self.state, &self.record.process));
            // Only when they are empty: a tree that is only looked at stays as it is.
            let _ = fs::remove_dir(self.state.join(FOLDER));
            let _ = fs::remove_dir(&self.state);
        }
    }
}

/// Ends the names of what belongs to this run only: `smoke-4711-98765`.
pub fn own(name: &str) -> String {
    format!("{name}-{}", suffix(&processes::this_process()))
}

fn suffix(process: &ProcessIdentity) -> String {
    format!("{}-{}", process.pid, process.start_ticks)
}

fn path_of(state: &Path, process: &ProcessIdentity) -> PathBuf {
    state.join(FOLDER).join(format!("{}.json", suffix(process)))
}

fn write(path: &Path, record: &Record) -> Result<()> {
    let folder = path.parent().context("a record lies in a folder")?;
    let written = || -> Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        files::write::whole(path, 0o644, serde_json::to_string(record)? + "\n")
    };
    // Another run, the last one, may be removing the empty folder.
    written().or_else(|_| written())
}

/// As the one that it lies in, which every user can write where root's children are other users.
fn make_temporary(folder: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(folder, Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<(File, Record)> {
    let file = files::open(path)?;
    let mut text = String::new();
    (&file).take(LONGEST).read_to_string(&mut text)?;
    let record = serde_json::from_str(&text)?;
    Ok((file, record))
}

/// Names of the platforms below the state folder that belong to a run.
fn targets(state: &Path, record: &Record) -> Vec<String> {
    let ending = format!("-{}", suffix(&record.process));
    let entries = fs::read_dir(state).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(&ending))
        .collect()
}

impl Record {
    /// Never another's: the folder bears the name of the run and belongs to the user who made the record.
    fn remove_temporary(&self) -> Result<()> {
        let Some(folder) = &self.temporary else { return Ok(()) };
        if folder.file_name() != Some(format!("flowship-{}", suffix(&self.process)).as_ref()) {
            bail!("{}: not the temporary folder of process {}", folder.display(), self.process.pid);
        }
        match fs::symlink_metadata(folder) {
            Ok(found) if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() => {
                fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
            }
            Ok(_) => bail!("{}: expected a folder of this user", folder.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", folder.display())),
        }
    }
}

/// A run that has ended without cleaning up. While this is held nobody else cleans up after it.
#[derive(Debug)]
pub struct Killed {
    path: PathBuf,
    record: Record,
    /// Names of its platforms below the state folder.
    pub own_targets: Vec<String>,
    _lock: File,
}

/// The killed runs of a checkout, and the problems with reading the register.
pub fn killed(state: &Path) -> (Vec<Killed>, Vec<String>) {
    let folder = state.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Default::default(),
        Err(error) => return (vec![], vec![format!("cannot look into {}: {error}", folder.display())]),
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
        match claim(state, &path) {
            Ok(Some(killed)) => found.push(killed),
            Ok(None) => {}
            // It ended just now.
            Err(_) if fs::symlink_metadata(&path).is_err() => {}
            Err(error) => problems.push(format!("{}: {error:#}", path.display())),
        }
    }
    (found, problems)
}

fn claim(state: &Path, path: &Path) -> Result<Option<Killed>> {
    let (lock, record) = read(path).context("expected the record of a run; remove it if no run is active")?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error).context("cannot be locked"),
    }
    if processes::is_alive(&record.process) {
        return Ok(None);
    }
    let (owner, me) = (lock.metadata()?.uid(), rustix::process::geteuid());
    if owner != me.as_raw() && !me.is_root() {
        bail!(
            "`{}` (process {}) of the user with the id {owner} was killed; run any command as that user, or as root, \
             to clean up",
            record.command,
            record.process.pid
        );
    }
    let own_targets = targets(state, &record);
    Ok(Some(Killed { path: path.to_owned(), record, own_targets, _lock: lock }))
}

impl Killed {
    pub fn process(&self) -> &ProcessIdentity {
        &self.record.process
    }

    /// The command as typed.
    pub fn command(&self) -> &str {
        &self.record.command
    }

    /// See [`Registered::begin`].
    pub fn target(&self) -> Option<&str> {
        self.record.target.as_deref()
    }

    /// Removes its temporary folder and takes it off the register.
    ///
    /// # Errors
    /// When something cannot be removed; then it stays on the register.
    pub fn forget(self) -> Result<()> {
        self.record.remove_temporary()?;
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))?;
        if let Some(folder) = self.path.parent() {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process of an earlier boot: its id may be anybody's by now.
    fn ended() -> ProcessIdentity {
        ProcessIdentity { pid: std::process::id(), start_ticks: 7, boot: "an earlier boot".to_owned() }
    }

    fn on_register(state: &Path, process: ProcessIdentity, temporary: Option<PathBuf>) -> PathBuf {
        let path = path_of(state, &process);
        let record = Record { process, command: "xtask smoke --private".to_owned(), target: None, temporary };
        write(&path, &record).unwrap();
        path
    }

    #[test]
    fn a_killed_run_is_found_with_what_it_left_and_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let (found, problems) = killed(state.path());
        assert!(found.is_empty() && problems.is_empty(), "{problems:?}");

        let elsewhere = tempfile::tempdir().unwrap();
        let temporary = elsewhere.path().join(format!("flowship-{}", suffix(&ended())));
        make_temporary(&temporary).unwrap();
        fs::write(temporary.join("secret"), "s").unwrap();
        fs::create_dir(state.path().join(format!("smoke-{}", suffix(&ended())))).unwrap();
        fs::create_dir(state.path().join("dev")).unwrap();
        let path = on_register(state.path(), ended(), Some(temporary.clone()));
        let goes_on = on_register(state.path(), processes::this_process(), None);

        let (mut found, problems) = killed(state.path());
        assert!(problems.is_empty(), "{problems:?}");
        let one = found.pop().unwrap();
        assert!(found.is_empty(), "a run that goes on is left alone");
        assert_eq!((one.process(), one.command(), one.target()), (&ended(), "xtask smoke --private", None));
        assert_eq!(one.own_targets, [format!("smoke-{}", suffix(&ended()))]);
        assert!(killed(state.path()).0.is_empty(), "nobody else cleans up meanwhile");
        one.forget().unwrap();
        assert!(!path.exists() && !temporary.exists() && goes_on.exists());
    }

    #[test]
    fn only_the_folder_of_the_run_is_ever_removed() {
        let state = tempfile::tempdir().unwrap();
        let somebodys = state.path().join("somebody's");
        fs::create_dir(&somebodys).unwrap();
        let link = state.path().join(format!("flowship-{}", suffix(&ended())));
        std::os::unix::fs::symlink(&somebodys, &link).unwrap();
        for (named, said) in
            [(&somebodys, "not the temporary folder of process"), (&link, "expected a folder")]
        {
            let path = on_register(state.path(), ended(), Some(named.clone()));
            let one = killed(state.path()).0.pop().unwrap();
            let error = one.forget().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(path.exists() && somebodys.exists());
        }
    }

    #[test]
    fn invalid_records_are_reported() {
        let state = tempfile::tempdir().unwrap();
        let path = on_register(state.path(), ended(), None);
        for text in ["", "{}", "[1,2]"] {
            fs::write(&path, text).unwrap();
            let (found, problems) = killed(state.path());
            assert!(found.is_empty());
            assert!(problems[0].contains("expected the record of a run"), "{problems:?}");
        }
    }
}
