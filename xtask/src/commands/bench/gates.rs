//! What running gates together brings over a script that runs the same commands one after the other, and over just, which
//! runs them at once; and what it costs when nothing has changed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use duct::cmd;

use super::sample::{Figure, figure, times};
use crate::commands::ci::{Script, script};
use crate::context::Context;
use crate::files::temporary;
use crate::plan::interrupt::Interrupt;
use crate::tools::{Program, Tool, Toolbox, progress};

/// Gates that take seconds and leave nothing behind.
const GATES: [&str; 5] = ["format", "generated", "flows", "workflows", "containers"];

pub fn measure(context: &Context, runs: usize, _interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let scripts = script(context, &GATES)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Just], progress::on_stderr().as_ref())?;
    let folder = temporary::folder("flowship-bench-")?;
    let (sequence, justfile) = (folder.path().join("gates.sh"), folder.path().join("justfile"));
    fs::write(&sequence, sequential(&scripts))?;
    fs::write(&justfile, parallel(&scripts))?;
    let just = toolbox.path(Program::Just)?;
    let ours = std::env::current_exe()?;

    let mut by_script = || quietly(&cmd!("sh", &sequence), &context.root);
    let by_script = figure("a script, one after the other", &times(runs, &mut by_script)?, None);
    let mut by_just = || quietly(&cmd!(&just, "--justfile", &justfile, "all"), &context.root);
    let by_just = figure("just, all at once", &times(runs, &mut by_just)?, Some(&by_script));
    let ci = |more: &[&str]| {
        let arguments: Vec<_> = ["ci"].iter().chain(&GATES).chain(more).copied().collect();
        let command = cmd(&ours, arguments).env_remove("CI").env_remove("GITHUB_ACTIONS");
        quietly(&command, &context.root)
    };
    let fresh = times(runs, &mut || ci(&["--fresh"]))?;
    let beside_script = figure("cargo xtask ci --fresh, these gates", &fresh, Some(&by_script));
    let beside_just = figure("the same runs", &fresh, Some(&by_just));
    let unchanged = times(runs, &mut || ci(&[]))?;
    let unchanged = figure("cargo xtask ci, these gates, nothing changed", &unchanged, None);
    Ok(vec![by_script, by_just, beside_script, beside_just, unchanged])
}

/// Fails where a gate fails: the time of a failure is no figure.
fn quietly(command: &duct::Expression, folder: &Path) -> Result<()> {
    command.dir(folder).stdin_null().stdout_null().stderr_null().run()?;
    Ok(())
}

fn sequential(scripts: &[Script]) -> String {
    let lines: Vec<_> = scripts.iter().flat_map(|script| &script.lines).map(String::as_str).collect();
    format!("set -e\n{}\n", lines.join("\n"))
}

/// A recipe for each gate, and one that has all of them run at the same time.
fn parallel(scripts: &[Script]) -> String {
    let names: Vec<_> = scripts.iter().map(|script| script.gate).collect();
    let mut text = format!("[parallel]\nall: {}\n", names.join(" "));
    for script in scripts {
        let _ = write!(text, "\n{}:\n", script.gate);
        for line in &script.lines {
            // just takes two braces for an expression of its own.
            let _ = writeln!(text, "    {}", line.replace("{{", "{{{{"));
        }
    }
    text
}
