//! Files that are read whoever put them there, that are written whole or not at all, and temporary ones.
//!
//! Reads files that anybody may have put there: a regular file and nothing else, opened without following a link,
//! without waiting for a writer, and never past a limit.
//!
//! A FIFO in the place of a file would hang the program, `/dev/zero` would fill its memory, and a link would lead it to
//! what belongs to somebody else. [`read`] and [`open`] take a path that the user gave: only its last part may be no
//! link. [`Root`] takes paths below a tree: no part of them may be one.

mod beside;
mod error;
mod listing;
mod remove;
mod root;
pub mod temporary;
#[cfg(test)]
mod tests;
pub mod write;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use indicatif::HumanBytes;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use error::{Error, Errors, shown};
pub use listing::{Ignored, NoIndex, SKIPPED, is_checkout, sources, tracked, walked};
pub use remove::remove;
pub use root::{BESIDE, Root, Staged};

/// Enough for every text that people or this program write into a tree, in bytes.
pub const TEXT: u64 = 16 * 1024 * 1024;
/// Enough for a key, a password or a signature.
pub const KEY: u64 = 64 * 1024;
/// Enough for an archive: a release, or an image.
pub const ARCHIVE: u64 = 64 * 1024 * 1024 * 1024;

/// A number of bytes for people: `512 B`, `1.50 KiB`, `16 MiB`.
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string().replace(".00 ", " ")
}

/// A file's contents, and what it may be used for.
#[derive(Debug)]
pub struct Read {
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// Opens a regular file for reading. The caller bounds what it reads.
///
/// # Errors
/// When it does not exist, is anything but a regular file, or cannot be opened.
pub fn open(path: &Path) -> Result<File, Error> {
    open_at(CWD, path, path)
}

/// Opens a regular file that has at most `limit` bytes now.
///
/// # Errors
/// As [`open`], and when it is larger.
pub fn open_within(path: &Path, limit: u64) -> Result<File, Error> {
    let file = open(path)?;
    match file.metadata() {
        Ok(facts) if facts.len() <= limit => Ok(file),
        Ok(_) => Err(Error::TooLarge { path: path.to_owned(), limit }),
        Err(error) => Err(Error::Io { path: path.to_owned(), error }),
    }
}

/// The contents of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`], and when it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Read, Error> {
    contents(open(path)?, path, limit)
}

/// The same as text.
///
/// # Errors
/// As [`read`], and when it is no UTF-8.
pub fn text(path: &Path, limit: u64) -> Result<String, Error> {
    String::from_utf8(read(path, limit)?.bytes)
        .map_err(|error| Error::NotText { path: path.to_owned(), at: error.utf8_error().valid_up_to() })
}

/// What was read, or nothing where there is no file.
///
/// # Errors
/// Every error but that there is no file.
pub fn if_there<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens `name` in the folder; errors name it by `path`. What it is gets looked up before it is opened, because to open a
/// device can already act on it, and once more afterwards, because it may have been replaced.
fn open_at(folder: impl std::os::fd::AsFd, name: &Path, path: &Path) -> Result<File, Error> {
    let failed = |errno: Errno| Error::of(path, errno);
    let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Error::link(&folder, name, path)),
        other => return Err(Error::special(path, other)),
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(failed)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(failed)?.st_mode) {
        FileType::RegularFile => Ok(file.into()),
        other => Err(Error::special(path, other)),
    }
}

fn contents(file: File, path: &Path, limit: u64) -> Result<Read, Error> {
    let failed = |error: std::io::Error| Error::Io { path: path.to_owned(), error };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    let mut bytes = Vec::new();
    // Its size may be wrong: it may grow while it is read, and those under /proc say that they are empty.
    if metadata.len() <= limit {
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if metadata.len().max(bytes.len() as u64) > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Read { bytes, mode })
}
