//! What was made here, as files of the state folder: the stand-ins, and the images that were built.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::stand_in;
use foundation::exit::refused;
use foundation::files;

/// The stand-ins of this checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandIns {
    /// [`stand_in::WARNING`], for whoever reads the file.
    pub warning: String,
    pub stand_ins: Vec<LockedStandIn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedStandIn {
    pub name: String,
    /// The official reference, without its digest: a stand-in has none.
    pub stands_for: String,
    pub tag: String,
    /// `sha256:...`, known to this engine only: an imported image has no digest of a registry.
    pub image_id: String,
    pub made_of: Vec<String>,
    pub differs: Vec<String>,
}

impl Default for StandIns {
    fn default() -> Self {
        Self { warning: stand_in::WARNING.to_owned(), stand_ins: Vec::new() }
    }
}

impl StandIns {
    /// What stands in for an official image here.
    pub fn of(&self, reference: &str) -> Option<&LockedStandIn> {
        self.stand_ins.iter().find(|locked| locked.stands_for == reference)
    }
}

/// The images that were built from this checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    pub images: Vec<BuiltImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltImage {
    pub target: String,
    pub dockerfile: String,
    pub tag: String,
    pub image_id: String,
    /// See [`super::content`].
    pub content_digest: String,
    /// Bytes of the files that a container sees.
    pub bytes: u64,
    pub layers: usize,
    /// The official references that stand-ins stood in for; empty for an image on official bases.
    pub stand_ins: Vec<String>,
}

/// Where both files are.
pub fn folder(state: &Path) -> PathBuf {
    state.join("images")
}

pub fn stand_ins_file(state: &Path) -> PathBuf {
    folder(state).join("stand-ins.json")
}

pub fn built_file(state: &Path) -> PathBuf {
    folder(state).join("built.json")
}

/// The images for Compose: `docker compose --env-file`.
pub fn env_file(state: &Path) -> PathBuf {
    folder(state).join("images.env")
}

/// # Errors
/// The file cannot be written.
pub fn write_env(file: &Path, variables: &BTreeMap<String, String>) -> Result<()> {
    let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    put(file, &lines)
}

/// What the file says; the default when there is none.
///
/// # Errors
/// Refused when it is not understood.
pub fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(error).with_context(|| file.display().to_string()),
    };
    serde_json::from_str(&text).map_err(|error| {
        refused(format!("{}: {error}; remove the file and build the images again", file.display()))
    })
}

/// # Errors
/// The file cannot be written.
pub fn write<T: Serialize>(file: &Path, value: &T) -> Result<()> {
    put(file, &(serde_json::to_string_pretty(value)? + "\n"))
}

fn put(file: &Path, text: &str) -> Result<()> {
    files::write::whole(file, 0o600, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_survives_its_file_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = stand_ins_file(folder.path());
        assert_eq!(read::<StandIns>(&file).unwrap(), StandIns::default());
        let mut lock = StandIns::default();
        lock.stand_ins.push(LockedStandIn {
            name: "node".into(),
            stands_for: "node:24".into(),
            tag: "x:1".into(),
            image_id: "sha256:0".into(),
            made_of: vec![],
            differs: vec![],
        });
        write(&file, &lock).unwrap();
        assert_eq!(read::<StandIns>(&file).unwrap(), lock);
        assert!(fs::read_to_string(&file).unwrap().contains("STAND-INS"));
        fs::write(&file, "{").unwrap();
        let error = read::<StandIns>(&file).unwrap_err().to_string();
        assert!(error.contains("stand-ins.json") && error.contains("remove the file"), "{error}");
    }
}
