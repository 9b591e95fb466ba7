//! The one form that an entry of our archives has: written by [`super::archive`], demanded by [`super::safe_read`].

use anyhow::{Result, anyhow};
use tar::{EntryType, Header};

/// A folder, a file, a program or a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Folder,
    File { executable: bool, size: u64 },
    Link,
}

/// A header of owner 0, with normalised permissions, and without names of owners.
///
/// # Errors
/// The path or the link is too long for the format (about 250 and 100 bytes).
pub fn header(path: &str, form: Form, link: &str, mtime: u64) -> Result<Header> {
    let mut header = Header::new_ustar();
    let (kind, mode, size) = match form {
        Form::Folder => (EntryType::Directory, 0o755, 0),
        Form::File { executable, size } => (EntryType::Regular, if executable { 0o755 } else { 0o644 }, size),
        Form::Link => (EntryType::Symlink, 0o777, 0),
    };
    let written = if form == Form::Folder { format!("{path}/") } else { path.to_owned() };
    header.set_path(&written).map_err(|error| anyhow!("{path}: {error}; give it a shorter path"))?;
    if form == Form::Link {
        header.set_link_name(link).map_err(|error| anyhow!("{path}: its target {link}: {error}"))?;
    }
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_cksum();
    Ok(header)
}
