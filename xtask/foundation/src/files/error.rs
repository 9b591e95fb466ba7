//! Why a file was not read: which one, what is wrong with it and what to do.

use std::fmt::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::size;
use crate::escape;

/// Why a file was not read.
#[derive(Debug)]
pub enum Error {
    Missing {
        path: PathBuf,
    },
    /// A part of the path is a symbolic link.
    Link {
        path: PathBuf,
        to: PathBuf,
    },
    /// A folder, a FIFO, a socket or a device.
    Special {
        path: PathBuf,
        what: &'static str,
    },
    /// A file in the place of a folder.
    NoFolder {
        path: PathBuf,
    },
    /// A folder of another checkout, in which a file of this one should be.
    Checkout {
        path: PathBuf,
    },
    TooLarge {
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    NotText {
        path: PathBuf,
        /// Offset of the first byte that is no UTF-8.
        at: usize,
    },
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
}

impl Error {
    pub(super) fn of(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT => Self::Missing { path },
            error => Self::Io { path, error: error.into() },
        }
    }

    pub(super) fn link(folder: impl AsFd, name: &Path, path: &Path) -> Self {
        match rustix::fs::readlinkat(folder, name, Vec::new()) {
            Ok(to) => {
                let to = std::ffi::OsString::from_vec(to.into_bytes()).into();
                Self::Link { path: path.to_owned(), to }
            }
            Err(errno) => Self::of(path, errno),
        }
    }

    pub(super) fn special(path: &Path, kind: FileType) -> Self {
        let what = match kind {
            FileType::Directory => "folder",
            FileType::Fifo => "FIFO",
            FileType::Socket => "socket",
            FileType::CharacterDevice | FileType::BlockDevice => "device",
            _ => "special file",
        };
        Self::Special { path: path.to_owned(), what }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(out, "{}: there is no such file", shown(path)),
            Self::Link { path, to } => write!(
                out,
                "{0} is a symbolic link to {1}; links are not followed here: remove the link, or replace it with its \
                 target",
                shown(path),
                shown(to)
            ),
            Self::Special { path, what } => {
                write!(out, "{} is a {what}; expected a regular file: move it away", shown(path))
            }
            Self::NoFolder { path } => {
                write!(out, "{} is not a folder; expected a folder: move it away", shown(path))
            }
            Self::Checkout { path } => write!(
                out,
                "{} is a separate checkout (it contains .git), where nothing is read or written; expected a folder of \
                 this checkout: move it away",
                shown(path)
            ),
            Self::TooLarge { path, limit } => {
                write!(out, "{} is too large; the limit is {}", shown(path), size(*limit))
            }
            Self::NotText { path, at } => {
                write!(out, "{}: byte {at} is not UTF-8; expected a text file", shown(path))
            }
            Self::Io { path, error } => write!(out, "{}: {error}", shown(path)),
        }
    }
}

impl std::error::Error for Error {}

/// All that is wrong with several files, one a line.
#[derive(Debug)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Errors {}

/// A path as a terminal may show it: on its line, every character of it seen as what it is.
pub fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&escape::name(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}
