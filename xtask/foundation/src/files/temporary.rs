//! Temporary files and folders, where the environment wants them; and that one can be made there at all.

use std::env;
use std::io;

use anyhow::Result;
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::exit::refused;

/// A folder of its own that is removed with its value.
///
/// # Errors
/// Refused, with the cause: the place for temporary files is missing or cannot be written.
pub fn folder(prefix: &str) -> Result<TempDir> {
    Builder::new().prefix(prefix).tempdir().map_err(|error| refuse(&error))
}

/// A file that is removed with its value.
///
/// # Errors
/// As [`folder`].
pub fn file() -> Result<NamedTempFile> {
    NamedTempFile::new().map_err(|error| refuse(&error))
}

/// That programs which are started can make temporary files: few of them say why they cannot.
///
/// # Errors
/// As [`folder`].
pub fn usable() -> Result<()> {
    file().map(drop)
}

fn refuse(error: &io::Error) -> anyhow::Error {
    let place = env::temp_dir();
    let (what, remedy) = match env::var_os("TMPDIR") {
        Some(_) => ("TMPDIR", "set it to an existing folder that you can write to, or unset it"),
        None => ("the folder for temporary files", "free some space there, or set TMPDIR to another folder"),
    };
    // The library's own text names a random file.
    let cause = io::Error::from(error.kind());
    refused(format!("{what} is {}, but no file can be created there: {cause}; {remedy}", place.display()))
}
