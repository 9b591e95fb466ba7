//! The evidence record of a rehearsal in which every check passed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use vocabulary::model::GateCommand;

use super::stack::Stack;
use crate::context::Context;
use crate::engines::compose::rehearsal::Check;
use crate::tools::versions;
use foundation::clock::{now_ms, utc};
use runner::evidence::basis::{Basis, of_definition, programs_of};
use runner::evidence::tree::Tree;
use runner::evidence::{Figure, Kind, Ran, Record, store};
use runner::plan::report::Report;

/// The inputs that a pass would be based on.
pub struct Sought {
    expected: Record,
    basis: Basis,
    began_ms: u64,
}

/// Reads them, before the rehearsal of an engine's stack with these checks.
///
/// # Errors
/// When the tree cannot be read.
pub fn sought(context: &Context, stack: &Stack, engine: &str, checks: &[Check]) -> Result<Sought> {
    // The gate that rehearses the same defines what it reads and how its faults are found.
    let same = |command: &GateCommand| command.arguments == ["rehearse", engine];
    let gate = stack.platform.gates.iter().find(|gate| gate.commands.iter().any(same));
    let gate = gate.with_context(|| format!("no gate rehearses {engine}"))?;
    let programs = programs_of(gate).into_iter().chain(stack.seen.programs.iter().copied());
    let basis = versions::basis(context, &stack.toolbox, programs)?;
    let versions = basis.versions.iter();
    let tools: BTreeMap<_, _> =
        versions.map(|(name, version)| (name.clone(), version.version.clone())).collect();
    let exact: BTreeMap<_, _> = basis.versions.iter().map(|(name, version)| (name, &version.exact)).collect();
    let ran = Ran {
        program: "xtask".to_owned(),
        arguments: ["rehearse", engine].map(str::to_owned).into(),
        folder: ".".to_owned(),
    };
    let names: Vec<_> = checks.iter().map(|check| check.words().0).collect();
    let expected = Record {
        kind: Kind::Rehearsal,
        name: engine.to_owned(),
        definition_sha256: of_definition(&serde_json::json!({ "checks": names, "programs": exact })),
        tools,
        arguments: vec![ran],
        ..basis.expected(gate)
    };
    Ok(Sought { expected, basis, began_ms: now_ms() })
}

/// Writes the record, after the rehearsal.
///
/// # Errors
/// When the tree cannot be read or the record not written.
pub fn keep(context: &Context, stack: &Stack, sought: Sought, report: &Report) -> Result<()> {
    let Sought { expected, basis, began_ms } = sought;
    // If a file changed meanwhile, it is unclear which version was rehearsed.
    if Tree::observe(&context.root)? != basis.tree {
        eprintln!("no record is kept of this rehearsal: the tree was changed meanwhile");
        return Ok(());
    }
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    let mut figures: BTreeMap<_, _> = report
        .steps
        .iter()
        .map(|step| (format!("{}_ms", step.id), Figure::Number(step.duration_ms as f64)))
        .collect();
    if !stack.seen.stand_ins.is_empty() {
        // A pass with stand-ins proves nothing about the images that they replace.
        figures.insert("stand_ins".to_owned(), Figure::Text(stack.seen.stand_ins.join(" ")));
    }
    let record = Record {
        figures,
        started_at: utc(began_ms / 1000),
        duration_ms: now_ms().saturating_sub(began_ms),
        ..expected
    };
    store::write(context.state(), &record)
}
