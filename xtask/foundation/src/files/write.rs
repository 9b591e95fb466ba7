//! Files that are written beside, brought to disk and renamed: a name never stands for half a file, and what was written
//! is still there after a loss of power.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::beside::Beside;

/// What the names of files begin with that are not in their place yet.
const START: &str = ".tmp-";

/// What `write` gives, once the file is there with these permissions. Its folder is made where it is missing; a link in
/// its place is replaced and not followed.
///
/// # Errors
/// It cannot be written; with its name.
pub fn with<T>(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> Result<T>) -> Result<T> {
    placed(path, mode, write, Beside::put)
}

/// The same for bytes that are there already.
///
/// # Errors
/// As [`with`].
pub fn whole(path: &Path, mode: u32, bytes: impl AsRef<[u8]>) -> Result<()> {
    with(path, mode, |file| Ok(file.write_all(bytes.as_ref())?))
}

/// The same where nothing is in the file's place. Whether nothing was: otherwise that stays as it is.
///
/// # Errors
/// As [`with`].
pub fn new(path: &Path, mode: u32, bytes: impl AsRef<[u8]>) -> Result<bool> {
    let mut new = true;
    let put = |beside: &Beside, name: &OsStr| match beside.put_new(name) {
        Err(Errno::EXIST) => {
            new = false;
            Ok(())
        }
        put => put,
    };
    placed(path, mode, |file| Ok(file.write_all(bytes.as_ref())?), put)?;
    Ok(new)
}

/// Makes `path` a symbolic link, in the place of whatever file or link is there.
///
/// # Errors
/// It cannot be made.
pub fn link(path: &Path, to: &Path) -> Result<()> {
    let (folder, name, _) = place(path)?;
    Ok(Beside::link(folder, START, to)?.put(name)?)
}

/// Removes what writers that were killed have left in a folder; nobody else may write to it meanwhile.
///
/// # Errors
/// The folder cannot be read, or a file not be removed.
pub fn remove_left(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(START)) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Brings to disk which names a folder has, where its file system can do that.
///
/// # Errors
/// It cannot be opened, or the disk fails.
pub fn sync_names(folder: &Path) -> Result<()> {
    match rustix::fs::fsync(open(folder)?) {
        Ok(()) | Err(Errno::INVAL | Errno::BADF) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn placed<T>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Result<T>,
    put: impl FnOnce(&Beside, &OsStr) -> rustix::io::Result<()>,
) -> Result<T> {
    let act = || -> Result<T> {
        let (folder, name, grown) = place(path)?;
        let (beside, mut file) = Beside::file(folder, START, mode)?;
        let written = write(&mut file)?;
        // The umask may have taken something away.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        put(&beside, name)?;
        grown.iter().try_for_each(|folder| sync_names(folder))?;
        Ok(written)
    };
    act().with_context(|| format!("cannot write {}", path.display()))
}

/// A file's folder, which is made where it is missing, its name there, and the folders that get a new name by all this.
fn place(path: &Path) -> Result<(OwnedFd, &OsStr, Vec<PathBuf>)> {
    let name = path.file_name().context("it has no name")?;
    // Absolute, so that each folder has one above it.
    let absolute = std::path::absolute(path)?;
    let folder = absolute.parent().context("it has no folder")?;
    let above = folder.ancestors().take_while(|folder| !folder.exists()).filter_map(Path::parent);
    let grown = std::iter::once(folder).chain(above).map(Path::to_owned).collect();
    fs::create_dir_all(folder)?;
    Ok((open(folder)?, name, grown))
}

fn open(folder: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_killed_writers_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".tmp-0123", "file", ".hidden"] {
            fs::write(folder.path().join(name), "a").unwrap();
        }
        remove_left(folder.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".hidden", "file"]);
    }

    #[test]
    fn a_file_is_there_whole_with_its_mode_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/one/file");
        whole(&path, 0o640, "one").unwrap();
        assert_eq!(mode(&path), 0o640);
        let failed = with(&path, 0o600, |file| -> Result<()> {
            file.write_all(b"half")?;
            anyhow::bail!("the power is gone")
        });
        let error = format!("{:#}", failed.unwrap_err());
        assert!(error.contains("cannot write ") && error.contains("new/one/file: the power"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(path.parent().unwrap()), 1, "nothing is left beside");
    }

    #[test]
    fn nobody_may_read_a_secret_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        with(&folder.path().join("secret"), 0o600, |file| {
            assert_eq!(file.metadata()?.permissions().mode() & 0o7777, 0o600);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_link_in_the_place_is_replaced_or_left_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [link, target] = ["link", "target"].map(|name| folder.path().join(name));
        fs::write(&target, "somebody else's").unwrap();
        for to in [&*target, Path::new("nowhere")] {
            let _ = fs::remove_file(&link);
            symlink(to, &link).unwrap();
            assert!(!new(&link, 0o600, "mine").unwrap());
            assert_eq!(fs::read_link(&link).unwrap(), to);
            whole(&link, 0o600, "mine").unwrap();
            assert_eq!((fs::read_to_string(&link).unwrap(), mode(&link)), ("mine".to_owned(), 0o600));
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "somebody else's");
        super::link(&link, &target).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), target);
        fs::create_dir(folder.path().join("folder")).unwrap();
        let error = format!("{:#}", whole(&folder.path().join("folder"), 0o600, "mine").unwrap_err());
        assert!(error.contains("/folder: "), "{error}");
        assert_eq!(names(folder.path()), 3, "nothing is left beside");
    }

    #[test]
    fn what_is_there_already_stays_and_one_of_many_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = parallel(|number| new(&path, 0o600, number.to_string()).unwrap());
        let makers: Vec<_> = (0..made.len()).filter(|number| made[*number]).collect();
        assert_eq!(makers.len(), 1, "{made:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), makers[0].to_string());
        assert_eq!(names(folder.path()), 1);
    }

    #[test]
    fn writers_at_once_leave_the_whole_file_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        parallel(|number| {
            for _ in 0..20 {
                whole(&path, 0o600, number.to_string().repeat(10_000)).unwrap();
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.len() == 10_000 && text.bytes().all(|byte| byte == text.as_bytes()[0]));
            }
        });
        assert_eq!(names(folder.path()), 1);
    }

    fn parallel<T: Send>(act: impl Fn(usize) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let act = &act;
            let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || act(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Runs itself: the child is killed in the middle of writing.
    #[test]
    fn a_kill_leaves_the_file_as_it_was_and_the_next_writer_is_not_disturbed() {
        const PLACE: &str = "FLOWSHIP_TEST_KILLED_WHILE_WRITING";
        if let Some(path) = std::env::var_os(PLACE) {
            let _ = with(Path::new(&path), 0o600, |file| -> Result<()> {
                file.write_all(b"half")?;
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
                unreachable!("it was killed")
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let killed = || {
            let name =
                "files::write::tests::a_kill_leaves_the_file_as_it_was_and_the_next_writer_is_not_disturbed";
            let mut child = Command::new(std::env::current_exe().unwrap());
            let ended = child.args(["--exact", name]).env(PLACE, &path).output().unwrap().status;
            assert_eq!(ended.signal(), Some(9));
        };
        killed();
        assert!(!path.exists());
        whole(&path, 0o600, "one").unwrap();
        killed();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        whole(&path, 0o600, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(folder.path()), 3, "what the two killed ones had begun");
    }
}
