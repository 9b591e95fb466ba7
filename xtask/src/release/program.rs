//! What is told of an operator's program that one machine has built and another takes into a release.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::exit::refused;

/// Of one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The machine it is for, as Rust names it.
    pub target: String,
    /// 40 hexadecimal digits: what it was built of.
    pub commit: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Version by program: what it was built with.
    pub tools: BTreeMap<String, String>,
}

/// The file that tells it, beside the program.
pub fn file(program: &Path) -> PathBuf {
    let mut name = program.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// # Errors
/// Refused when there is no such file, or it tells something else.
pub fn read(program: &Path) -> Result<Program> {
    let file = file(program);
    let refuse = |error: String| {
        refused(format!(
            "{}: {error}; expected what `cargo xtask release operator` leaves beside the program",
            file.display()
        ))
    };
    let text = fs::read_to_string(&file).map_err(|error| refuse(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))
}

/// # Errors
/// It cannot be written.
pub fn write(program: &Path, told: &Program) -> Result<()> {
    let file = file(program);
    let text = serde_json::to_string_pretty(told)? + "\n";
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}
