//! What a run leaves for other programs and for later: JUnit, SARIF and a page with a timeline, under `target/xtask/`.

mod findings;
mod junit;
mod sarif;
mod timeline;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use vocabulary::model::{Gate, Sarif};

use super::summary::Row;
pub use findings::look as look_for_findings;
use foundation::files;
use runner::plan::log::{end_of, plain};

/// Where they lie, below the root.
const FOLDER: &str = "target/xtask";

/// A run as it is reported.
pub struct Run<'a> {
    pub rows: &'a [Row],
    /// RFC 3339.
    pub started_at: &'a str,
    pub duration_ms: u64,
    /// The commit, where it is known.
    pub commit: Option<&'a str>,
    pub interrupted: bool,
}

/// Writes all of them, each beside and renamed.
///
/// # Errors
/// When one cannot be written.
pub fn write(root: &Path, gates: &[&Gate], run: &Run<'_>, programs: findings::Programs<'_>) -> Result<()> {
    let tails = |row: &Row| row.log.as_deref().map(last_lines).unwrap_or_default();
    let found = findings::collect(root, gates, run.rows, programs);
    put(root, "ci.junit.xml", junit::document(run, &tails)?.as_bytes())?;
    let sarif = sarif::document(gates, run.rows, found);
    put(root, "ci.sarif", format!("{}\n", serde_json::to_string_pretty(&sarif)?).as_bytes())?;
    put(root, "ci.html", timeline::page(run)?.as_bytes())
}

/// Takes away what an earlier run left, so that nothing old is taken for new.
///
/// # Errors
/// When a file is there and cannot be removed.
pub fn forget_findings(root: &Path, gates: &[&Gate]) -> Result<()> {
    for command in gates.iter().flat_map(|gate| &gate.commands) {
        let Some(Sarif::File(file)) = command.sarif else { continue };
        let path = root.join(file);
        // The program may not make the folder itself.
        fs::create_dir_all(path.parent().unwrap_or(root))
            .with_context(|| format!("cannot make the folder of {file}"))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn put(root: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    // Others read it: the next step of a workflow, a browser of another user.
    files::write::whole(&root.join(FOLDER).join(name), 0o644, bytes)
}

/// The end of a log, as text without what no document may hold.
fn last_lines(path: &Path) -> String {
    const LINES: usize = 40;
    let text = end_of(path, 32 * 1024).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    plain(&lines[lines.len().saturating_sub(LINES)..].join("\n"))
}
