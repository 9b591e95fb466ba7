//! What programs tell in SARIF: read from the files they leave, or asked for once they have failed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use vocabulary::model::{Gate, GateCommand, Sarif};

use super::super::summary::{GateResult, Row};

/// How a named program is started.
pub type Programs<'a> = &'a dyn Fn(&str) -> Option<Vec<String>>;

/// A program that is asked again must answer within this time.
const LIMIT: Duration = Duration::from_secs(60);

/// The runs that the programs of failed and passed gates told of. What is none is named on stderr: the gate's own result
/// stands without it.
pub fn collect(root: &Path, gates: &[&Gate], rows: &[Row], programs: Programs<'_>) -> Vec<Value> {
    let mut runs = Vec::new();
    for row in rows {
        let Some(gate) = gates.iter().find(|gate| gate.id == row.gate) else { continue };
        for command in &gate.commands {
            let told = match (&command.sarif, row.result) {
                (Some(Sarif::File(file)), GateResult::Passed | GateResult::Failed)
                    if root.join(file).exists() =>
                {
                    read(root, file)
                }
                (Some(Sarif::Instead(arguments)), GateResult::Failed) => {
                    ask(root, command, arguments, programs)
                }
                _ => continue,
            };
            match told {
                Ok(told) => runs.extend(told),
                Err(error) => eprintln!("{}: no findings in ci.sarif: {error:#}", gate.id),
            }
        }
    }
    runs
}

/// Looks at the file that a program must have left.
///
/// # Errors
/// It is not there, is empty or holds no run.
pub fn look(root: &Path, file: &str) -> Result<usize> {
    read(root, file).map(|runs| runs.len())
}

fn read(root: &Path, file: &str) -> Result<Vec<Value>> {
    let text =
        fs::read_to_string(root.join(file)).with_context(|| format!("cannot read the report {file}"))?;
    runs(&text).with_context(|| format!("the report {file}"))
}

fn ask(root: &Path, command: &GateCommand, arguments: &[&str], programs: Programs<'_>) -> Result<Vec<Value>> {
    let mut argv = programs(command.program).context("the program is not known")?;
    argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let folder = root.join(command.folder);
    // It fails where it finds something: its exit code tells nothing here.
    let handle = duct::cmd(&argv[0], &argv[1..])
        .dir(folder)
        .stdin_null()
        .stdout_capture()
        .stderr_null()
        .unchecked()
        .start()
        .with_context(|| format!("cannot start {}", command.program))?;
    match handle.wait_deadline(Instant::now() + LIMIT)? {
        Some(output) => runs(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("what {} writes", command.program)),
        None => {
            handle.kill()?;
            bail!("{} does not answer within {} s", command.program, LIMIT.as_secs())
        }
    }
}

fn runs(text: &str) -> Result<Vec<Value>> {
    if text.trim().is_empty() {
        bail!("it is empty");
    }
    let document: Value = serde_json::from_str(text).context("it is no JSON")?;
    match document["runs"].as_array() {
        Some(runs) if !runs.is_empty() => Ok(runs.clone()),
        _ => bail!("it has no entry in `runs`, as SARIF 2.1.0 requires"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_is_empty_or_none_is_found_out() {
        let root = tempfile::tempdir().unwrap();
        let told = || format!("{:#}", look(root.path(), "x.sarif").unwrap_err());
        assert!(told().contains("cannot read the report x.sarif"), "{}", told());
        for (text, part) in [
            ("", "it is empty"),
            ("{", "no JSON"),
            ("{}", "no entry in `runs`"),
            ("{\"runs\": []}", "no entry in `runs`"),
        ] {
            fs::write(root.path().join("x.sarif"), text).unwrap();
            assert!(told().contains(part) && told().contains("x.sarif"), "{}", told());
        }
        fs::write(root.path().join("x.sarif"), "{\"runs\": [{}]}").unwrap();
        assert_eq!(look(root.path(), "x.sarif").unwrap(), 1);
    }
}
