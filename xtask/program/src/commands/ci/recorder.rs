//! Writes the record of a gate the moment it has passed: what comes after may be killed.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use anyhow::{Context as _, Result, bail};
use vocabulary::model::Gate;

use super::evidence::{IGNORED, MAY_IGNORE, TESTS, sum};
use super::lower::step_ids;
use crate::context::Context;
use crate::tools::{Toolbox, versions};
use runner::evidence::basis::{Basis, programs_of};
use runner::evidence::tree::Tree;
use runner::evidence::{Figure, Record, store};
use runner::plan::report::StepReport;
use runner::plan::step::StepId;

/// Listens until the run is over. Gives the passes that are not believed, with the reason: a program was changed while the
/// gate ran.
///
/// # Errors
/// When the tree cannot be read or a record cannot be written.
pub fn listen(
    told: Receiver<StepReport>,
    gates: &[&Gate],
    basis: &Basis,
    context: &Context,
    toolbox: &Toolbox,
    started_at: &dyn Fn(u64) -> String,
) -> Result<BTreeMap<&'static str, String>> {
    let mut refused = BTreeMap::new();
    let mut good: BTreeMap<StepId, StepReport> = BTreeMap::new();
    for step in told.iter().filter(|step| step.status.is_good()) {
        let id = step.id.clone();
        good.insert(id.clone(), step);
        let Some(gate) = gates.iter().find(|gate| step_ids(gate).last() == Some(&id)) else { continue };
        let steps: Vec<_> = step_ids(gate).iter().filter_map(|id| good.get(id)).collect();
        let programs = match ran(gate, basis, context, toolbox) {
            Ok(programs) => programs,
            Err(error) => {
                refused.insert(gate.id, format!("{error:#}"));
                continue;
            }
        };
        let expected = basis.expected(gate);
        let now = Basis { tree: Tree::observe(&context.root)?, ..basis.clone() };
        // What was changed while the gate ran may be judged by halves.
        if expected.rests_on_the_same(&now.expected(gate)) {
            let begun = steps.iter().map(|step| step.started_ms).min().unwrap_or_default();
            store::write(context.state(), &passed(expected, &steps, programs, &started_at(begun)))?;
        }
    }
    Ok(refused)
}

/// The same with what the gate's steps brought, and the SHA-256 of the programs that ran. `started_at` is in RFC 3339.
fn passed(
    expected: Record,
    steps: &[&StepReport],
    programs: BTreeMap<String, String>,
    started_at: &str,
) -> Record {
    let figures = steps
        .iter()
        .flat_map(|step| &step.outputs)
        .filter(|(name, _)| ![TESTS, IGNORED, MAY_IGNORE].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), Figure::read(value)));
    Record {
        programs,
        figures: figures.collect(),
        started_at: started_at.to_owned(),
        duration_ms: steps.iter().map(|step| step.duration_ms).sum(),
        tests: sum(steps, TESTS),
        ignored: sum(steps, IGNORED),
        ..expected
    }
}

/// The sums of the programs that ran. Those of the cache were compared before they ran, and are once more; for the
/// user's own the sums from before the run must still hold.
fn ran(gate: &Gate, basis: &Basis, context: &Context, toolbox: &Toolbox) -> Result<BTreeMap<String, String>> {
    let mut programs =
        versions::hashes(context, toolbox, programs_of(gate)).context("changed while the gate ran")?;
    for name in programs_of(gate) {
        let Some(before) = basis.versions.get(name).and_then(|version| version.sha256.as_ref()) else {
            continue;
        };
        let now = programs.entry(name.to_owned()).or_insert_with(|| before.clone());
        if now != before {
            bail!("{name} was replaced while the gate ran: SHA-256 {before} before, {now} after");
        }
    }
    Ok(programs)
}
