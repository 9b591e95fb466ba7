//! What `--dry-run` prints: the plan, instead of what it does.

use anyhow::Result;

use crate::context::Context;
use foundation::stdout;
use runner::plan::step::Plan;

/// # Errors
/// It cannot be written.
pub fn show(context: &Context, plan: &Plan) -> Result<()> {
    if context.json { stdout::json(plan) } else { stdout::text(&plan.text()) }
}
