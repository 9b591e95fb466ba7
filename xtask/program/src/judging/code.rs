//! Has the engines that will run code say whether it parses: one Node.js with the project's own packages judges all.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::tools::{NpmProject, Program, Toolbox};
use foundation::program_name::PROGRAM;
use judges::checks::flows::code::{Fault, Kind, Text};

/// Below the root.
const JUDGE: &str = "flows/runtime/code-judge.js";

/// Compiling takes milliseconds; what takes longer was written to.
const LIMIT: Duration = Duration::from_secs(20);

/// Whether there is something to ask.
///
/// # Errors
/// There is not.
pub fn is_there(root: &Path) -> Result<()> {
    if root.join(JUDGE).is_file() {
        return Ok(());
    }
    bail!("this needs Node.js and the npm packages of a Flowship checkout: run it in one, or with --root")
}

/// What is wrong with the texts. Installs nothing.
///
/// # Errors
/// Why they could not be judged, and what to do.
pub fn judge(toolbox: &Toolbox, root: &Path, texts: &[Text<'_>]) -> Result<Vec<Fault>> {
    let node = toolbox.path(Program::Node)?;
    let folder = root.join("flows");
    let modules = toolbox.npm_folder(NpmProject { folder: &folder })?.join("node_modules");
    if !modules.is_dir() {
        bail!("the npm packages of flows/ are not installed: run `{PROGRAM} doctor --install`");
    }
    let kinds: BTreeSet<Kind> = texts.iter().map(|text| text.kind).collect();
    let controls = kinds.iter().map(|kind| json!({ "kind": kind, "text": kind.control() }));
    let mut asked = texts.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    asked.extend(controls);
    let name = node.display();
    let command = duct::cmd(&node, [root.join(JUDGE)])
        .dir(&folder)
        .full_env([("NODE_PATH", &modules)])
        .stdin_bytes(serde_json::to_vec(&asked)?)
        .stdout_capture()
        .stderr_capture()
        .unchecked();
    let output = within(LIMIT, &command, &format!("{name} {JUDGE}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error =
            said.lines().find(|line| line.split(':').next().is_some_and(|name| name.ends_with("Error")));
        bail!("{name} {JUDGE}: {}: {}", output.status, error.unwrap_or_else(|| said.trim()));
    }
    let mut faults: Vec<Fault> =
        serde_json::from_slice(&output.stdout).with_context(|| format!("what {name} {JUDGE} answers"))?;
    for (index, kind) in (texts.len()..).zip(&kinds) {
        if !faults.iter().any(|fault| fault.index == index) {
            let control = kind.control();
            bail!("{name} {JUDGE} does not find the fault in {control}, so its results mean nothing");
        }
    }
    faults.retain(|fault| fault.index < texts.len());
    Ok(faults)
}

fn within(limit: Duration, command: &duct::Expression, name: &str) -> Result<Output> {
    let handle = command.start().with_context(|| format!("{name} cannot be run"))?;
    match handle.wait_deadline(Instant::now() + limit)? {
        Some(output) => Ok(output.clone()),
        None => {
            handle.kill()?;
            handle.wait()?;
            bail!("{name} did not answer within {} s", limit.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A judge that goes on for ever is ended, and that is no judgement.
    #[test]
    fn a_judge_that_does_not_answer_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let judge = duct::cmd!("sh", "-c", "echo $$ > \"$0\"; exec sleep 600", &pid).unchecked();
        let error = within(Duration::from_millis(500), &judge, "node judge.js").unwrap_err();
        assert_eq!(error.to_string(), "node judge.js did not answer within 0.5 s");
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "it still runs");
        let done =
            within(Duration::from_secs(60), &duct::cmd!("echo", "[]").stdout_capture(), "node").unwrap();
        assert_eq!(done.stdout, b"[]\n");
    }
}
