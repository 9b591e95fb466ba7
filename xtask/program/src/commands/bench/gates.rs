//! What running gates together brings over a script that runs the same commands one after the other, and over just, which
//! runs them at once; and what it costs when nothing has changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use duct::cmd;
use serde::Deserialize as _;
use serde_json::Value;

use super::sample::{Figure, figure, times};
use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::files::temporary;
use foundation::interrupt::Interrupt;
use runner::plan::action::{Action, Exec};

/// Gates that take seconds and leave nothing behind.
const GATES: [&str; 5] = ["format", "generated", "flows", "workflows", "containers"];

pub fn measure(context: &Context, runs: usize, _interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let ours = std::env::current_exe()?;
    let ci = |more: &[&str]| {
        let arguments: Vec<_> = ["ci"].iter().chain(&GATES).chain(more).copied().collect();
        cmd(&ours, arguments).env_remove("CI").env_remove("GITHUB_ACTIONS").dir(&context.root)
    };
    // Has the programs installed that the lines name.
    quietly(&ci(&["--fresh"]), &context.root)?;
    let gates = lines(&ci(&["--fresh", "--dry-run", "--json"]).read()?)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Just], progress::on_stderr().as_ref())?;
    let folder = temporary::folder("flowship-bench-")?;
    let (sequence, justfile) = (folder.path().join("gates.sh"), folder.path().join("justfile"));
    fs::write(
        &sequence,
        format!("set -e\n{}\n", gates.values().flatten().cloned().collect::<Vec<_>>().join("\n")),
    )?;
    fs::write(&justfile, parallel(&gates))?;
    let just = toolbox.path(Program::Just)?;

    let mut by_script = || quietly(&cmd!("sh", &sequence), &context.root);
    let by_script = figure("a script, one after the other", &times(runs, &mut by_script)?, None);
    let mut by_just = || quietly(&cmd!(&just, "--justfile", &justfile, "all"), &context.root);
    let by_just = figure("just, all at once", &times(runs, &mut by_just)?, Some(&by_script));
    let fresh = times(runs, &mut || quietly(&ci(&["--fresh"]), &context.root))?;
    let beside_script = figure("cargo xtask ci --fresh, these gates", &fresh, Some(&by_script));
    let beside_just = figure("the same runs", &fresh, Some(&by_just));
    let unchanged = times(runs, &mut || quietly(&ci(&[]), &context.root))?;
    let unchanged = figure("cargo xtask ci, these gates, nothing changed", &unchanged, None);
    Ok(vec![by_script, by_just, beside_script, beside_just, unchanged])
}

/// Fails where a gate fails: the time of a failure is no figure.
fn quietly(command: &duct::Expression, folder: &Path) -> Result<()> {
    command.dir(folder).stdin_null().stdout_null().stderr_null().run()?;
    Ok(())
}

/// What one without this runner would have to type: lines of a shell, by gate, from a plan of `cargo xtask ci`.
fn lines(plan: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let plan: Value = serde_json::from_str(plan)?;
    let mut gates: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for step in plan["steps"].as_array().context("the plan has no steps")? {
        if let (Some(id), Some(exec)) = (step["id"].as_str(), step["action"].get("exec")) {
            let gate = id.split('.').next().unwrap_or(id).to_owned();
            gates.entry(gate).or_default().push(<Action>::Exec(Exec::deserialize(exec)?).text());
        }
    }
    Ok(gates)
}

/// A recipe for each gate, and one that has all of them run at the same time.
fn parallel(gates: &BTreeMap<String, Vec<String>>) -> String {
    let names: Vec<_> = gates.keys().map(String::as_str).collect();
    let mut text = format!("[parallel]\nall: {}\n", names.join(" "));
    for (gate, lines) in gates {
        let _ = write!(text, "\n{gate}:\n");
        for line in lines {
            // just takes two braces for an expression of its own.
            let _ = writeln!(text, "    {}", line.replace("{{", "{{{{"));
        }
    }
    text
}
