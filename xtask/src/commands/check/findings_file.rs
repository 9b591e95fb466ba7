//! Leaves the findings of a check where the run of all gates collects them.

use std::fs;

use anyhow::{Context as _, Result};

use crate::checks::sarif;
use crate::context::Context;

/// Writes `target/xtask/sarif/CHECK.sarif`, whether there are findings or not.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    context: &Context,
    check: &str,
    tool: &str,
    version: &str,
    results: &[sarif::Result],
) -> Result<()> {
    let folder = context.path("target/xtask/sarif");
    let file = folder.join(format!("{check}.sarif"));
    let written = fs::create_dir_all(&folder).map_err(anyhow::Error::from).and_then(|()| {
        let beside = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer_pretty(&beside, &sarif::log(tool, version, results))?;
        beside.persist(&file)?;
        Ok(())
    });
    written.with_context(|| format!("{}: cannot be written", file.display()))
}
