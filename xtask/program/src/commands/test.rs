//! `cargo xtask test flows [FILE..]`: flow tests, each on a whole platform of its own, without the gate around them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::context::Context;
use crate::tools::programs::{called, programs, tools};
use crate::tools::{NpmProject, Toolbox, progress};
use foundation::exit::{Interrupted, Reported, refused};
use foundation::interrupt::Interrupt;
use foundation::nearest;
use foundation::processes::describe;
use foundation::stdout;
use runner::plan::argument::Arg;
use runner::plan::child::{Command, End, Inherits, Sink};
use runner::plan::mask::Mask;

/// Where flow tests are looked for by name, below the root.
const FOLDER: &str = "flows/test/flows";
const ENDING: &str = ".test.js";
/// The gate that runs all of them, whose programs they call.
const GATE: &str = "node";
/// As long as the gate gives one file.
const LIMIT_OF_A_FILE: Duration = Duration::from_secs(300);
/// How long a test may take to stop what it has started.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run flow tests with a real PostgreSQL, MCP server and Node-RED, and a stand-in for the model
    Flows(Flows),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test flows                  all flow tests
  cargo xtask test flows workflows        flows/test/flows/workflows.test.js
  cargo xtask test flows flows/test/nodes/pieces.test.js
  cargo xtask test flows workflows --json | jq .failed

Exit code 0 when every test passed, 1 when one failed or no test ran, 2 when there is no such test.")]
struct Flows {
    /// The name of a test in flows/test/flows, or the path of a test file in flows/test [default: all flow tests]
    files: Vec<String>,
}

/// # Errors
/// Reported when a test failed, or none was run; refused when there is no such test.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let What::Flows(options) = &options.what;
    let files = chosen(context, &options.files)?;
    let toolbox = Toolbox::open(context)?;
    let calls = context
        .platform
        .gates
        .iter()
        .find(|gate| gate.id == GATE)
        .and_then(|gate| gate.commands.first())
        .map(|command| &command.calls)
        .ok_or_else(|| anyhow!("the platform has no gate {GATE}, whose programs the tests call"))?;
    let progress = progress::on_stderr();
    toolbox.ensure(&tools(calls.iter().copied())?, progress.as_ref())?;
    toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
    let programs = programs(&toolbox, &context.root, calls.iter().copied())?;
    let node = programs.get("node").ok_or_else(|| anyhow!("the gate {GATE} calls no node"))?;
    let path = std::env::var("PATH").unwrap_or_default();

    let limit = format!("--test-timeout={}", LIMIT_OF_A_FILE.as_millis());
    let mut argv: Vec<String> = node.clone();
    argv.extend([
        "--test".to_owned(),
        "--test-concurrency=2".to_owned(),
        limit,
        "--test-reporter=spec".to_owned(),
    ]);
    argv.extend(files.iter().map(|file| file.display().to_string()));
    let (mask, none) = (Mask::default(), BTreeMap::new());
    let word = |text: String| mask.resolve(&Arg::from(text), &none);
    let command = Command {
        argv: argv.into_iter().map(word).collect::<Result<_>>()?,
        env: called(calls, &programs, &path)
            .into_iter()
            .map(|(name, value)| Ok((name, word(value)?)))
            .collect::<Result<_>>()?,
        inherits: Inherits::Everything,
        cwd: Some(context.path("flows")),
        stdin: None,
        mask: mask.clone(),
    };

    let counts = Arc::new(Mutex::new(Counts::default()));
    let (noted, json) = (Arc::clone(&counts), context.json);
    let sink: Sink = Arc::new(move |line| {
        if let Ok(mut counts) = noted.lock() {
            counts.note(line);
        }
        let line = format!("{line}\n");
        if json {
            eprint!("{line}");
        } else {
            // A reader that has gone away ends no test.
            let _ = stdout::text(&line);
        }
    });
    let interrupt = Interrupt::listen()?;
    let started = Instant::now();
    let deadline = started + LIMIT_OF_A_FILE * u32::try_from(files.len()).unwrap_or(u32::MAX);
    let end = command.start(&sink, None)?.finish(deadline, &|| interrupt.raised(), GRACE)?;
    let counts = counts.lock().map(|counts| counts.clone()).unwrap_or_default();
    if json {
        let names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(&context.root).unwrap_or(file)).collect();
        stdout::json(&json!({
            "files": names, "passed": counts.passed, "failed": counts.failed,
            "seconds": started.elapsed().as_secs_f64(),
        }))?;
    }
    match end {
        End::Stopped => Err(Interrupted { signal: interrupt.signal().unwrap_or_default() }.into()),
        End::TimedOut => {
            bail!("the tests were not done after {} s", deadline.duration_since(started).as_secs())
        }
        End::Exited(status) if !status.success() && counts.failed > 0 => Err(Reported.into()),
        End::Exited(status) if !status.success() => bail!("node --test: {}", describe(status)),
        End::Exited(_) if !counts.empty.is_empty() => {
            bail!("no test in {}: expected a call of test() from node:test", counts.empty.join(", "))
        }
        End::Exited(_) if counts.passed == 0 => bail!("no test ran: all were skipped"),
        End::Exited(_) => Ok(()),
    }
}

/// What Node's `spec` reporter says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Files that hold no test: each counts as a test that passed, which bears the file's path.
    empty: Vec<String>,
}

impl Counts {
    fn note(&mut self, line: &str) {
        let number = |word: &str| line.strip_prefix(word).and_then(|rest| rest.trim().parse().ok());
        self.passed = number("ℹ pass ").unwrap_or(self.passed);
        self.failed = number("ℹ fail ").unwrap_or(self.failed);
        let file = line.strip_prefix("✔ ").and_then(|rest| rest.rsplit_once(" ("));
        self.empty.extend(file.filter(|(file, _)| file.ends_with(ENDING)).map(|(file, _)| file.to_owned()));
    }
}

/// The test files that somebody means: all flow tests where none is named.
fn chosen(context: &Context, wanted: &[String]) -> Result<Vec<PathBuf>> {
    let folder = context.path(FOLDER);
    let entries = fs::read_dir(&folder).map_err(|error| {
        refused(format!("{FOLDER}: {error}; expected the flow tests, files NAME{ENDING}"))
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.context(FOLDER)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(ENDING).map(str::to_owned));
    }
    names.sort();
    let file = |name: &str| folder.join(format!("{name}{ENDING}"));
    if wanted.is_empty() {
        return Ok(names.iter().map(|name| file(name)).collect());
    }
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for wanted in wanted {
        let name = wanted.strip_suffix(ENDING).unwrap_or(wanted);
        let at_path = [PathBuf::from(wanted), context.path(wanted)].into_iter().find_map(|path| {
            let path = path.canonicalize().ok()?;
            (path.is_file() && path.starts_with(context.path("flows/test"))).then_some(path)
        });
        let found = names.iter().any(|known| known == name).then(|| file(name)).or(at_path);
        match found {
            Some(file) => files.push(file),
            None => {
                let name = Path::new(name).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                problems.push(format!(
                    "{wanted}: there is no such test; expected the path of a test file below flows/test, or one of {}{}",
                    names.join(", "),
                    nearest::hint(&name, names.iter().map(String::as_str))
                ));
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(refused(problems.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reporter_says_is_read() {
        let mut counts = Counts::default();
        for line in [
            "✔ pass 7 (1ms)",
            "ℹ tests 9",
            "ℹ pass 7",
            "ℹ fail 2",
            "ℹ passing 3",
            "  ℹ pass 1",
            "✔ /a/b.test.js (30.0ms)",
            "  ✔ c.test.js is read (1ms)",
        ] {
            counts.note(line);
        }
        assert_eq!(counts, Counts { passed: 7, failed: 2, empty: vec!["/a/b.test.js".to_owned()] });
    }
}
