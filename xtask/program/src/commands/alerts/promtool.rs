//! promtool, run over many files at once: it needs longer to start than for a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::refused;
use foundation::files;

/// Files of one call.
const BATCH: usize = 24;
/// The planted fault: what every PromQL reader refuses.
const FAULT: &str = "groups:\n  - name: planted\n    rules:\n      - alert: Planted\n        expr: sum(up\n";

pub struct Promtool {
    argv: Vec<std::ffi::OsString>,
    pub version: String,
}

/// What promtool says of some files.
#[derive(Default)]
pub struct Judged {
    /// For each file, whether it passed.
    pub passed: Vec<bool>,
    /// What was found, with the file.
    pub findings: Vec<String>,
}

/// The generated files of a kind, `rules` or `tests`.
///
/// # Errors
/// Refused when there are none.
pub fn files(context: &Context, kind: &str) -> Result<Vec<PathBuf>> {
    let folder = format!("ops/monitoring/{kind}");
    let refuse = |error: &dyn std::fmt::Display| {
        refused(format!("{folder}: {error}; run `cargo xtask generate`, which writes the {kind} there"))
    };
    let entries = fs::read_dir(context.path(&folder)).map_err(|error| refuse(&error))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    if files.is_empty() { Err(refuse(&"it is empty")) } else { Ok(files) }
}

impl Promtool {
    /// # Errors
    /// It cannot be had.
    pub fn open(context: &Context) -> Result<Self> {
        let toolbox = Toolbox::open(context)?;
        toolbox.ensure(&[Tool::Prometheus], progress::on_stderr().as_ref())?;
        let argv = toolbox.invocation(Program::Promtool)?.argv([] as [&str; 0]);
        Ok(Self { argv, version: toolbox.locked_version(Tool::Prometheus)? })
    }

    /// One that accepts everything checks nothing.
    ///
    /// # Errors
    /// It does not find a fault that was planted.
    pub fn must_refuse_a_fault(&self) -> Result<()> {
        let folder = files::temporary::folder("flowship-alerts-")?;
        let file = folder.path().join("planted.yaml");
        fs::write(&file, FAULT)?;
        if self.run("check", &[file])?.findings.is_empty() {
            bail!("promtool {} accepts a rule that cannot be read: it checks nothing", self.version);
        }
        Ok(())
    }

    /// `promtool WHAT rules FILE...`, several at once.
    ///
    /// # Errors
    /// It does not say of each file whether it is good.
    pub fn run(&self, what: &str, files: &[PathBuf]) -> Result<Judged> {
        let batches: Vec<_> = files.chunks(if files.len() > BATCH { BATCH } else { 1 }).collect();
        let next = Mutex::new(batches.iter().enumerate());
        let results = Mutex::new(Vec::new());
        let work = || {
            loop {
                let Some((at, batch)) = next.lock().unwrap_or_else(|broken| broken.into_inner()).next()
                else {
                    return;
                };
                let judged = self.batch(what, batch);
                results.lock().unwrap_or_else(|broken| broken.into_inner()).push((at, judged));
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        let mut results = results.into_inner().unwrap_or_else(|broken| broken.into_inner());
        results.sort_by_key(|(at, _)| *at);
        let mut all = Judged::default();
        for (_, judged) in results {
            let judged = judged?;
            all.passed.extend(judged.passed);
            all.findings.extend(judged.findings);
        }
        Ok(all)
    }

    fn batch(&self, what: &str, files: &[PathBuf]) -> Result<Judged> {
        let argv: Vec<_> = self.argv.iter().cloned().chain([what.into(), "rules".into()]).collect();
        let argv: Vec<_> =
            argv.into_iter().chain(files.iter().map(|file| file.clone().into_os_string())).collect();
        let command = duct::cmd(&argv[0], &argv[1..]).stdin_null().stderr_to_stdout().stdout_capture();
        let output = command.unchecked().run().with_context(|| Path::new(&argv[0]).display().to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        let judged = read(files, &said);
        if judged.passed.len() != files.len() || output.status.success() != judged.findings.is_empty() {
            bail!(
                "promtool {what} rules ended with {} and judged {} of {} files; it said:\n{said}",
                output.status,
                judged.passed.len(),
                files.len()
            );
        }
        Ok(judged)
    }
}

/// Of each file promtool says `SUCCESS`, or `FAILED:` and what is wrong, in their order.
fn read(files: &[PathBuf], said: &str) -> Judged {
    let mut judged = Judged::default();
    for line in said.lines() {
        let file = |at: usize| files.get(at).map_or_else(String::new, |file| file.display().to_string());
        if line.starts_with("  SUCCESS") {
            judged.passed.push(true);
        } else if line.starts_with("  FAILED") {
            judged.passed.push(false);
            judged.findings.push(format!("{}:{}", file(judged.passed.len() - 1), &line[2..]));
        } else if judged.passed.last() == Some(&false)
            && !line.starts_with("Checking ")
            && let Some(finding) = judged.findings.last_mut()
            && !line.trim().is_empty()
        {
            finding.push('\n');
            finding.push_str(line);
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_promtool_says_of_each_file() {
        let files = ["a", "b", "c"].map(PathBuf::from);
        let said = "Checking a\n  SUCCESS: 2 rules found\n\nChecking b\n  FAILED:\nb: 5:15: bad\n\nChecking c\n  SUCCESS: 1\n";
        let judged = read(&files, said);
        assert_eq!(judged.passed, [true, false, true]);
        assert_eq!(judged.findings, ["b:FAILED:\nb: 5:15: bad"]);
    }
}
