//! Leaves the findings of a check where the run of all gates collects them.

use anyhow::Result;
use vocabulary::problem::Problem;

use crate::context::Context;
use foundation::files;
use judges::checks::sarif;

/// Writes `target/xtask/sarif/CHECK.sarif`, whether there are findings or not.
///
/// # Errors
/// The file cannot be written.
pub fn write(context: &Context, check: &str, tool: &str, version: &str, results: &[Problem]) -> Result<()> {
    let file = context.path(format!("target/xtask/sarif/{check}.sarif"));
    files::write::whole(&file, 0o600, serde_json::to_vec_pretty(&sarif::log(tool, version, results))?)
}
