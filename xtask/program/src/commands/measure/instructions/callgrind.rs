//! Counts the instructions of a hot path: this very program does it once more, under Callgrind. Acts.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::works::Work;
use crate::context::Context;
use foundation::files::temporary;
use judges::checks::instructions::Count;

/// The function whose instructions count, with all that it calls: as it is named, whatever the compiler makes of it.
const COUNTED: &str = "*counted_rounds*";

/// What the counted program says on its standard output: the units of one round.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Said {
    pub units: u64,
}

/// Does the rounds. Callgrind counts from where this is entered to where it is left, so start-up and preparation do
/// not count.
///
/// # Errors
/// As the work says.
#[inline(never)]
pub fn counted_rounds(rounds: u64, round: &dyn Fn() -> Result<()>) -> Result<()> {
    for _ in 0..rounds {
        round()?;
    }
    Ok(())
}

/// Counts so many rounds, which count as the work's own.
///
/// # Errors
/// Valgrind or the work fails.
pub fn count(context: &Context, valgrind: &Path, work: &Work, rounds: u64) -> Result<Count> {
    let folder = temporary::folder("flowship-callgrind-")?;
    let out = folder.path().join("callgrind.out");
    let program = std::env::current_exe()?;
    let output = duct::cmd!(
        valgrind,
        "--tool=callgrind",
        "--quiet",
        format!("--toggle-collect={COUNTED}"),
        format!("--callgrind-out-file={}", out.display()),
        &program,
        "--root",
        &context.root,
        "measure",
        "work",
        work.name,
        rounds.to_string(),
    )
    .stdin_null()
    .stdout_capture()
    .stderr_capture()
    .unchecked()
    .run()
    .context("valgrind cannot be run")?;
    if !output.status.success() {
        bail!("{}: {}: {}", work.name, output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let said: Said =
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}: its answer", work.name))?;
    let counted = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    Ok(Count {
        work: work.name,
        unit: work.unit,
        units: said.units * work.rounds,
        instructions: total(&counted).with_context(|| format!("{}: Callgrind told no total", work.name))?,
    })
}

/// The events of the whole run, of all its parts. Pure.
fn total(out: &str) -> Option<u64> {
    let number = |line: &str| line.split_once(": ")?.1.trim().parse::<u64>().ok();
    out.lines()
        .rev()
        .find(|line| line.starts_with("totals: ") || line.starts_with("summary: "))
        .and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 12\n\nfn=(1)\n1 5\n\ntotals: 12\n"), Some(12));
        assert_eq!(total("version: 1\nevents: Ir\n"), None);
    }
}
