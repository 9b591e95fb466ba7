//! Writes the record of a gate the moment it has passed: what comes after may be killed.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use anyhow::Result;
use vocabulary::model::Gate;

use super::inputs::Tree;
use super::lower::step_ids;
use super::records::{self, Basis};
use crate::context::Context;
use crate::evidence::store;
use crate::plan::report::StepReport;
use crate::plan::step::StepId;

/// Listens until the run is over.
///
/// # Errors
/// When the tree cannot be read or a record cannot be written.
pub fn listen(
    told: Receiver<StepReport>,
    gates: &[&Gate],
    basis: &Basis,
    context: &Context,
    started_at: &dyn Fn(u64) -> String,
) -> Result<()> {
    let mut good: BTreeMap<StepId, StepReport> = BTreeMap::new();
    for step in told.iter().filter(|step| step.status.is_good()) {
        let id = step.id.clone();
        good.insert(id.clone(), step);
        let Some(gate) = gates.iter().find(|gate| step_ids(gate).last() == Some(&id)) else { continue };
        let steps: Vec<_> = step_ids(gate).iter().filter_map(|id| good.get(id)).collect();
        let expected = basis.expected(gate);
        let now = Basis { tree: Tree::observe(&context.root)?, ..basis.clone() };
        // What was changed while the gate ran may be judged by halves.
        if expected.rests_on_the_same(&now.expected(gate)) {
            let begun = steps.iter().map(|step| step.started_ms).min().unwrap_or_default();
            store::write(context.state(), &records::passed(expected, &steps, &started_at(begun)))?;
        }
    }
    Ok(())
}
