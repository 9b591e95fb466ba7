//! Which image an OCI archive holds: the digest of its only manifest.

use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use foundation::digest;
use foundation::files;

/// Manifests and indexes are small.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The digest that the archive's index names and its manifest has; inside, what is wrong with it.
///
/// # Errors
/// The file cannot be read.
pub fn of(path: &Path) -> Result<Result<String, String>> {
    let place = || path.display().to_string();
    let Some(index) = member(path, "index.json").with_context(place)? else {
        return Ok(Err("holds no index.json; expected an OCI layout".to_owned()));
    };
    let index: Value = serde_json::from_slice(&index).unwrap_or_default();
    let manifests = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [one] = manifests else { return Ok(Err("its index must name one image".to_owned())) };
    let digest = one["digest"].as_str().unwrap_or_default();
    let Some(hex) = digest.strip_prefix("sha256:").filter(|hex| super::sums::is_sha256(hex)) else {
        return Ok(Err(format!("its index names {digest:?}; expected sha256: and 64 digits")));
    };
    Ok(match member(path, &format!("blobs/sha256/{hex}")).with_context(place)? {
        None => Err(format!("lacks the manifest {digest}")),
        Some(bytes) if digest::sha256(&bytes) != hex => Err(format!("its manifest is not {digest}")),
        Some(_) => Ok(digest.to_owned()),
    })
}

fn member(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(BufReader::new(files::open_within(path, files::ARCHIVE)?));
    // Raw: the names that extended headers give would be held in memory, however long they are.
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        if entry.path_bytes().as_ref() == name.as_bytes() {
            let mut bytes = Vec::new();
            entry.take(LONGEST).read_to_end(&mut bytes)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
