//! Files that are written beside, made durable and renamed: a name never stands for half a file.

use std::fs::{File, Permissions};
use std::path::Path;

use anyhow::{Context as _, Result};

/// What `write` gives, once the file is there.
///
/// # Errors
/// It cannot be written; with its name.
pub fn write<T>(
    path: &Path,
    permissions: Permissions,
    write: impl FnOnce(&mut File) -> Result<T>,
) -> Result<T> {
    let act = || -> Result<T> {
        let folder = path.parent().context("it has no folder")?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let written = write(file.as_file_mut())?;
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(written)
    };
    act().with_context(|| format!("cannot write {}", path.display()))
}
