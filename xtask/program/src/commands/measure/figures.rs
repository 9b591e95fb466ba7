//! Figures for the evidence of the gate that runs this. Acts.

use std::fs::File;
use std::io::Write as _;

use anyhow::{Context as _, Result};

use runner::plan::perform::OUTPUT_FILE;

/// Leaves them to the step that runs this program, if one does: name, number.
///
/// # Errors
/// When what the step reads cannot be written.
pub fn leave<'a>(figures: impl IntoIterator<Item = (&'a str, f64)>) -> Result<()> {
    let Some(path) = std::env::var_os(OUTPUT_FILE) else { return Ok(()) };
    let lines: String = figures
        .into_iter()
        .map(|(name, value)| format!("{}={value:.3}\n", name.replace(['-', '/'], "_")))
        .collect();
    let wrong = || format!("{OUTPUT_FILE}: {}", path.display());
    let mut file = File::options().append(true).open(&path).with_context(wrong)?;
    file.write_all(lines.as_bytes()).with_context(wrong)
}
