//! What is made beside its place and then put there: at no time does the name stand for half of it, or for nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

/// A file or link beside its place. What is not put there vanishes; a run that was killed leaves it behind.
pub(super) struct Beside {
    folder: OwnedFd,
    name: String,
}

impl Beside {
    /// An empty file whose name begins with `start`. From the first moment on nobody may do more with it than `mode` says.
    pub fn file(folder: OwnedFd, start: &str, mode: u32) -> Result<(Self, File)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = |folder: BorrowedFd<'_>, name: &str| {
            rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))
        };
        Self::new(folder, start, make).map(|(beside, file)| (beside, file.into()))
    }

    /// A symbolic link.
    pub fn link(folder: OwnedFd, start: &str, to: &Path) -> Result<Self> {
        Self::new(folder, start, |folder, name| rustix::fs::symlinkat(to, folder, name))
            .map(|(beside, ())| beside)
    }

    fn new<T>(
        folder: OwnedFd,
        start: &str,
        make: impl Fn(BorrowedFd<'_>, &str) -> Result<T>,
    ) -> Result<(Self, T)> {
        loop {
            // By chance and not by process: two containers that share a folder number their processes alike.
            let name = format!("{start}{:016x}", RandomState::new().build_hasher().finish());
            match make(folder.as_fd(), &name) {
                Err(Errno::EXIST) => {}
                made => return made.map(|made| (Self { folder, name }, made)),
            }
        }
    }

    /// In the place of whatever file or link has the name now.
    pub fn put(&self, name: &OsStr) -> Result<()> {
        rustix::fs::renameat(&self.folder, &self.name, &self.folder, name)
    }

    /// The same where nothing has the name, not even a link that leads nowhere; otherwise [`Errno::EXIST`].
    pub fn put_new(&self, name: &OsStr) -> Result<()> {
        let (folder, beside) = (&self.folder, &self.name);
        match rustix::fs::renameat_with(folder, beside, folder, name, RenameFlags::NOREPLACE) {
            // Such as NFS. There are hard links there; where there are none, such as on FAT, there is the other.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(folder, beside, folder, name, AtFlags::empty())
            }
            put => put,
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Nothing has this name once it was put in its place.
        let _ = rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty());
    }
}
