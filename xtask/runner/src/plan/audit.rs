//! Who did what: one JSON line a run, appended.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended, `2026-11-03T09:05:07Z`.
    pub at: String,
    pub who: String,
    pub host: String,
    /// The command as typed.
    pub command: String,
    pub intent: String,
    pub target: String,
    /// SHA-256 of the plan's JSON.
    pub plan: String,
    /// `done`, `failed: STEP, ..` or `interrupted by SIGINT`.
    pub outcome: String,
    pub duration_ms: u64,
}

/// Appends one line to `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, entry: &Entry) -> Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    // One write of one line to a file opened for appending: lines of several runs do not mix.
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(&line))
        .with_context(|| format!("cannot append to the audit log {}", path.display()))
}
