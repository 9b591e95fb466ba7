//! Prints the plan for `--dry-run`, instead of executing it.

use std::path::Path;

use anyhow::Result;

use crate::context::Context;
use foundation::stdout;
use runner::plan::action::Native;
use runner::plan::step::Plan;

/// The plan as it would be if what is in `from` were in `to`.
///
/// # Errors
/// It cannot be written.
pub fn show_elsewhere<N: Native>(context: &Context, plan: &Plan<N>, from: &Path, to: &Path) -> Result<()> {
    let [from, to] = [from, to].map(|path| path.display().to_string());
    let text = if context.json { serde_json::to_string_pretty(plan)? + "\n" } else { plan.text() };
    stdout::text(&text.replace(&from, &to))
}

/// # Errors
/// Standard output cannot be written.
pub fn show<N: Native>(context: &Context, plan: &Plan<N>) -> Result<()> {
    if context.json { stdout::json(plan) } else { stdout::text(&plan.text()) }
}
