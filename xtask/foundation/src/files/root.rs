//! A tree whose files are read and changed without following a link on the way to them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::beside::Beside;
use super::{Error, Read, contents, open_at};

/// What the names of files begin with that are not in their place yet. A run that was killed leaves them behind.
pub const BESIDE: &str = ".generate-";

/// An opened tree. The way to it may lead over links; below it none is followed.
pub struct Root {
    folder: OwnedFd,
    /// By which errors name its files.
    path: PathBuf,
}

impl Root {
    /// # Errors
    /// When it is no folder that can be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(folder) => Ok(Self { folder, path: path.to_owned() }),
            Err(Errno::NOTDIR) => Err(Error::NoFolder { path: path.to_owned() }),
            Err(errno) => Err(Error::of(path, errno)),
        }
    }

    /// Opens the regular file at a path below the tree. The caller bounds what it reads.
    ///
    /// # Errors
    /// When it does not exist, it or a folder above it is anything but a file or a folder, or it cannot be opened.
    pub fn file(&self, path: impl AsRef<Path>) -> Result<File, Error> {
        let place = self.place(path.as_ref(), false)?;
        open_at(place.folder(), &place.name, &place.path)
    }

    /// The contents of such a file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::file`], and when it is larger.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Read, Error> {
        contents(self.file(path.as_ref())?, &self.path.join(path), limit)
    }

    /// The names of what lies in a folder; none when it does not exist.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn names(&self, folder: &Path) -> Result<Vec<OsString>, Error> {
        // A part below it, so that the folder itself is on the way.
        let Some(place) = super::if_there(self.place(&folder.join("x"), false))? else {
            return Ok(Vec::new());
        };
        let failed = |errno| Error::of(&self.path.join(folder), errno);
        let entries = rustix::fs::Dir::read_from(place.folder()).map_err(failed)?;
        let name = |entry: rustix::io::Result<rustix::fs::DirEntry>| {
            Ok(OsStr::from_bytes(entry.map_err(failed)?.file_name().to_bytes()).to_owned())
        };
        entries.map(name).collect()
    }

    /// Writes a file beside its place, and the folders above it. The umask gives its mode, as git does it. It is not brought
    /// to disk: what is generated can be generated again. Until this tree and the file are dropped, other runs do not take
    /// it for a leftover.
    ///
    /// # Errors
    /// When it cannot be written; then nothing is left.
    pub fn stage(&self, path: &str, contents: &[u8]) -> Result<Staged, Error> {
        // Where there are no locks, another run may take it for a leftover.
        let _ = rustix::fs::flock(&self.folder, FlockOperation::LockShared);
        let place = self.place(Path::new(path), true)?;
        let failed = |error| Error::Io { path: place.path.clone(), error };
        let folder = place.opened.try_clone().map_err(failed)?;
        let (beside, mut file) =
            Beside::file(folder, BESIDE, 0o666).map_err(|errno| Error::of(&place.path, errno))?;
        file.write_all(contents).map_err(failed)?;
        Ok(Staged { beside, place })
    }

    /// What `look` sees while nobody has files beside their places; nothing while somebody has, in this tree.
    pub fn while_none_is_staged<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        if rustix::fs::flock(&self.folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
        {
            return None;
        }
        let seen = look();
        let _ = rustix::fs::flock(&self.folder, FlockOperation::Unlock);
        Some(seen)
    }

    /// Removes a file, if nobody has done so before.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        let place = self.place(Path::new(path), false)?;
        match rustix::fs::unlinkat(place.folder(), &place.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::of(&place.path, errno)),
        }
    }

    /// Opens the folder that holds `path`, and makes it when `make` says so.
    fn place(&self, path: &Path, make: bool) -> Result<Place, Error> {
        let failed = |errno| Error::of(&self.path, errno);
        let mut parts: Vec<_> = path.components().collect();
        let below = parts.iter().all(|part| matches!(part, Component::Normal(_)));
        let (true, Some(name)) = (below, parts.pop()) else {
            let error = std::io::Error::other("expected a path below the tree");
            return Err(Error::Io { path: path.to_owned(), error });
        };
        let name = PathBuf::from(name.as_os_str());
        let opened = rustix::io::fcntl_dupfd_cloexec(&self.folder, 0).map_err(failed)?;
        let mut place = Place { opened, name, path: self.path.join(path), made: Vec::new() };
        let mut way = self.path.clone();
        for part in parts {
            way.push(part);
            let part: &Path = part.as_ref();
            if make {
                match rustix::fs::mkdirat(&place.opened, part, Mode::from_raw_mode(0o777)) {
                    Ok(()) => {
                        let above = rustix::io::fcntl_dupfd_cloexec(&place.opened, 0).map_err(failed)?;
                        place.made.push((above, part.to_owned()));
                    }
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(Error::of(&way, errno)),
                }
            }
            place.opened = open_folder(place.folder(), part, &way)?;
        }
        Ok(place)
    }
}

/// Where a file is, or is to be.
struct Place {
    opened: OwnedFd,
    name: PathBuf,
    /// By which errors name it.
    path: PathBuf,
    /// Folders that were made for it, each in the opened one above it.
    made: Vec<(OwnedFd, PathBuf)>,
}

impl Place {
    fn folder(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (above, name) in self.made.iter().rev() {
            // One in which a file has come to lie is not empty, and stays.
            let _ = rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR);
        }
    }
}

/// A file that is whole and lies beside its place. It vanishes when it is not put there.
pub struct Staged {
    beside: Beside,
    place: Place,
}

impl Staged {
    /// # Errors
    /// When it cannot be renamed into its place.
    pub fn put(self) -> Result<(), Error> {
        self.beside.put(self.place.name.as_os_str()).map_err(|errno| Error::of(&self.place.path, errno))
    }
}

fn open_folder(folder: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|errno| {
        let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Symlink) => Error::link(folder, name, path),
            Ok(FileType::Directory) | Err(_) => Error::of(path, errno),
            Ok(_) => Error::NoFolder { path: path.to_owned() },
        }
    })
}
