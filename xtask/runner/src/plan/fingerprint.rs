//! SHA-256 of what a step would do: equal fingerprints, equal work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::action::Native;
use super::mask::Outputs;
use super::step::{Plan, Step, StepId};
use foundation::digest::Hasher;

/// Fingerprint of a whole plan, as data.
///
/// # Errors
/// When it cannot be written as JSON, such as a path that is not Unicode.
pub fn of_plan<N: Serialize>(plan: &Plan<N>) -> Result<String> {
    let mut hash = Hasher::default();
    add(&mut hash, plan)?;
    Ok(hash.finish())
}

/// Fingerprint of a step that is about to run: its action, the outputs it uses, the contents of what it reads, and
/// `needed`, the fingerprints of the journaled steps it needs. Secrets count by name and file, not by value.
///
/// # Errors
/// When something it reads cannot be read, or its action cannot be written as JSON. What is missing counts as missing.
pub fn of_step<N: Native>(
    step: &Step<N>,
    outputs: &BTreeMap<StepId, Outputs>,
    needed: &[&str],
) -> Result<String> {
    let mut hash = Hasher::default();
    add(&mut hash, &step.action)?;
    for from in step.action.outputs() {
        add(&mut hash, &outputs.get(&from.step).and_then(|of_step| of_step.get(&from.key)))?;
    }
    for path in &step.reads {
        for file in files_below(path)? {
            add(&mut hash, &file)?;
            hash.part(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
    }
    add(&mut hash, &needed)?;
    Ok(hash.finish())
}

fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
        if entry.path().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn add(hash: &mut Hasher, value: &impl Serialize) -> Result<()> {
    hash.part(serde_json::to_vec(value).context("a step cannot be written as JSON")?);
    Ok(())
}
