//! Files that are written beside, made durable and renamed: a name never stands for half a file.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// What `write` gives, once the file is there with these permissions. Its folder is made where it is missing.
///
/// # Errors
/// It cannot be written; with its name.
pub fn with<T>(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> Result<T>) -> Result<T> {
    let act = || -> Result<T> {
        let folder = path.parent().context("it has no folder")?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let written = write(file.as_file_mut())?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(written)
    };
    act().with_context(|| format!("cannot write {}", path.display()))
}

/// The same for bytes that are there already.
///
/// # Errors
/// As [`with`].
pub fn whole(path: &Path, mode: u32, bytes: impl AsRef<[u8]>) -> Result<()> {
    with(path, mode, |file| Ok(file.write_all(bytes.as_ref())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_with_its_mode_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file");
        whole(&path, 0o640, "one").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        let failed = with(&path, 0o600, |file| -> Result<()> {
            file.write_all(b"half")?;
            anyhow::bail!("the power is gone")
        });
        let error = format!("{:#}", failed.unwrap_err());
        assert!(error.contains("cannot write ") && error.contains("new/file: the power"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside");
    }
}
