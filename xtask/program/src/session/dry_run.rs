//! What `--dry-run` prints: the plan, instead of what it does.

use anyhow::Result;

use crate::context::Context;
use foundation::stdout;
use runner::plan::action::Native;
use runner::plan::step::Plan;

/// # Errors
/// It cannot be written.
pub fn show<N: Native>(context: &Context, plan: &Plan<N>) -> Result<()> {
    if context.json { stdout::json(plan) } else { stdout::text(&plan.text()) }
}
