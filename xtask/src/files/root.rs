//! A tree whose files are read without following a link on the way to them.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Read, contents, open_at};

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

    /// The contents of the regular file at a path below the tree, of at most `limit` bytes.
    ///
    /// # Errors
    /// When it does not exist, it or a folder above it is anything but a file or a folder, it cannot be opened, or it is
    /// larger.
    pub fn read(&self, path: &str, limit: u64) -> Result<Read, Error> {
        let path = Path::new(path);
        let folder = self.folder_of(path)?;
        let name = path.file_name().unwrap_or_default();
        let shown = self.path.join(path);
        let file = open_at(folder.as_ref().unwrap_or(&self.folder), Path::new(name), &shown)?;
        contents(file, &shown, limit)
    }

    /// The opened folder that holds `path`; none when that is the tree itself.
    fn folder_of(&self, path: &Path) -> Result<Option<OwnedFd>, Error> {
        let mut opened = None;
        let mut way = self.path.clone();
        let mut parts: Vec<_> = path.components().collect();
        if !parts.iter().all(|part| matches!(part, Component::Normal(_))) || parts.pop().is_none() {
            let error = std::io::Error::other("expected a path below the tree");
            return Err(Error::Io { path: path.to_owned(), error });
        }
        for part in parts {
            way.push(part);
            opened = Some(open_folder(opened.as_ref().unwrap_or(&self.folder), part.as_ref(), &way)?);
        }
        Ok(opened)
    }
}

fn open_folder(folder: &OwnedFd, name: &Path, path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|errno| {
        let found = rustix::fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW);
        match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Symlink) => Error::link(folder, name, path),
            Ok(FileType::Directory) | Err(_) => Error::of(path, errno),
            Ok(_) => Error::NoFolder { path: path.to_owned() },
        }
    })
}
