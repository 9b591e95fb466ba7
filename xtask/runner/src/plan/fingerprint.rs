//! SHA-256 of what a step would do: equal fingerprints, equal work.

use std::collections::BTreeMap;

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

/// Fingerprint of a step that is about to run: its action, the outputs it uses, and `needed`, the fingerprints
/// of the journaled steps it needs. Secrets count by name and file, not by value.
///
/// # Errors
/// When its action cannot be written as JSON, such as a path that is not Unicode.
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
    add(&mut hash, &needed)?;
    Ok(hash.finish())
}

fn add(hash: &mut Hasher, value: &impl Serialize) -> Result<()> {
    hash.part(serde_json::to_vec(value).context("a step cannot be written as JSON")?);
    Ok(())
}
