//! Prints the plan for `--dry-run`, instead of executing it.

use anyhow::Result;

use crate::context::Context;
use foundation::stdout;
use runner::plan::action::Native;
use runner::plan::step::Plan;

/// # Errors
/// Standard output cannot be written.
pub fn show<N: Native>(context: &Context, plan: &Plan<N>) -> Result<()> {
    if context.json { stdout::json(plan) } else { stdout::text(&plan.text()) }
}
