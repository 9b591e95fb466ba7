//! What runs, on disk: the next supervisor ends it when this one is killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::plan::service::{ServiceName, Stop};
use foundation::exit::refused;
use foundation::files;
use foundation::processes::ProcessIdentity;

/// The variable that every child inherits from its supervisor. It finds what a record cannot: a child in the moment
/// between its start and its record, and what has left its group.
pub const MARK: &str = "FLOWSHIP_SUPERVISED";

/// The contents of `children.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How the values of [`MARK`] begin, different for each supervisor; the name of the service follows.
    pub mark: String,
    pub children: BTreeMap<ServiceName, RecordedChild>,
}

/// A child; its process id is its group's id too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedChild {
    pub process: ProcessIdentity,
    pub stop: Stop,
}

/// The record, kept equal to its file.
#[derive(Debug)]
pub struct Children {
    path: PathBuf,
    record: Record,
}

impl Children {
    /// An empty record with a new mark, on disk before any child starts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(state: &Path) -> Result<Self> {
        let mark =
            std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot get a random id")?;
        let record = Record { mark: mark.trim().to_owned(), children: BTreeMap::new() };
        let children = Self { path: path_in(state), record };
        children.save()?;
        Ok(children)
    }

    /// The value of [`MARK`] for what belongs to a service.
    pub fn mark_of(&self, name: &ServiceName) -> String {
        format!("{}/{name}", self.record.mark)
    }

    /// # Errors
    /// When the file cannot be written, here and below.
    pub fn add(&mut self, name: &ServiceName, child: RecordedChild) -> Result<()> {
        self.record.children.insert(name.clone(), child);
        self.save()
    }

    pub fn remove(&mut self, name: &ServiceName) -> Result<()> {
        self.record.children.remove(name);
        self.save()
    }

    fn save(&self) -> Result<()> {
        files::write::whole(&self.path, 0o600, serde_json::to_string_pretty(&self.record)? + "\n")
    }
}

/// Where the record of the state folder is.
pub fn path_in(state: &Path) -> PathBuf {
    state.join("children.json")
}

/// Reads the record that an earlier supervisor left.
///
/// # Errors
/// When it cannot be read; refused (exit 2) when it is not one of ours.
pub fn read(state: &Path) -> Result<Option<Record>> {
    let path = path_in(state);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        refused(format!(
            "{}: expected the record of a supervisor: {error}; stop what it started by hand, then remove the file",
            path.display()
        ))
    })
}
