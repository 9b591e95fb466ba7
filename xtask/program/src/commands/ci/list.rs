//! `cargo xtask ci --list`: the gates, and with `--changed-since` those that a change concerns.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use vocabulary::model::{Gate, Platform};

use super::changed;
use super::chosen::{concerned, groups};
use crate::context::Context;
use foundation::columns;
use foundation::exit::refused;
use foundation::stdout;

#[derive(Debug, clap::Args)]
pub struct List {
    /// List the gates and what they check
    #[arg(long)]
    pub list: bool,
    /// With --list: only gates whose inputs have changed since this commit, branch or tag; all gates if that is unknown
    #[arg(long, value_name = "GIT_REF", requires = "list")]
    changed_since: Option<String>,
    /// With --changed-since: append a line GROUP=true or GROUP=false for each group to this file
    #[arg(long, value_name = "FILE", requires = "changed_since")]
    outputs: Option<PathBuf>,
}

/// # Errors
/// Refused when the revision or the file is none.
pub fn run(context: &Context, platform: &Platform, gates: &[&Gate], options: &List) -> Result<()> {
    let files = match &options.changed_since {
        Some(revision) => changed::since(&context.root, revision)?,
        None => None,
    };
    let wanted = |gate: &&&Gate| files.as_ref().is_none_or(|files| concerned(gate, files));
    let gates: Vec<&Gate> = gates.iter().filter(wanted).copied().collect();
    if let Some(path) = &options.outputs {
        let line =
            |group: &&str| format!("{group}={}\n", gates.iter().any(|gate| gate.group.name() == *group));
        let lines: String = groups(platform).iter().map(line).collect();
        // Appended, in one piece: a step may have other outputs.
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| refused(format!("--outputs {}: {error}", path.display())))?;
        file.write_all(lines.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    }
    if context.json {
        return stdout::json(&gates);
    }
    stdout::text(&columns::list(gates.iter().map(|gate| (gate.id, gate.checks))))
}
