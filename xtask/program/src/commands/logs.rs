//! `cargo xtask logs`: what the services wrote, or what they wrote about one task.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::instance::LOGS;
use crate::session::{DEFAULT, host};
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use foundation::nearest::hint;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use judges::site;
use runner::supervisor::log_lines::{indented, short, time};
use runner::supervisor::{last_lines, tail};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask logs
  cargo xtask logs node-red-a -f
  cargo xtask logs postgres -n 200
  cargo xtask logs production node-red-a
  cargo xtask logs --task 0198c7a2-5f5e-7c41-9d33-2f6e3a1b0c4d
  cargo xtask logs --json node-red-a | jq 'select(.level == \"error\")'")]
pub struct Options {
    /// The environment [default: dev], and the service, as `cargo xtask status` names it [default: all]
    #[arg(value_name = "[ENV] SERVICE", num_args = 0..=2)]
    what: Vec<String>,
    /// Follow the logs until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Number of lines per service
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
    /// Print all lines about this task, from all services, in order
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "lines"])]
    task: Option<String>,
    /// The environment
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
}

/// With `--json` lines are given as they were written.
///
/// # Errors
/// Refused when no such service has a log here.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let (environment, service) = asked(context, options)?;
    if let Some(done) = host::forwarded(context, environment, &[]) {
        return done;
    }
    let logs = chosen(&folder(context, environment)?, environment, service)?;
    let width = logs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let single = logs.len() == 1;
    let shown = |name: &str, line: &str| match (context.json, single) {
        (true, _) => line.to_owned(),
        (false, true) => short(line),
        (false, false) => format!("{name:<width$} {}", indented(&short(line), width)),
    };
    if let Some(task) = &options.task {
        let story = story(&logs, task);
        if story.is_empty() {
            bail!("{} names the task {task}; a log keeps only its newest lines", none_of(&logs));
        }
        return stdout::text(&story.iter().map(|(name, line)| shown(name, line) + "\n").collect::<String>());
    }
    let interrupt = Interrupt::listen()?;
    let gone = Mutex::new(false);
    let stop = || interrupt.raised() || gone.lock().is_ok_and(|gone| *gone);
    let work = |name: &str, path: &PathBuf| {
        tail(path, options.lines, options.follow, &stop, &mut |line| {
            // The reader of a pipe may leave.
            if writeln!(std::io::stdout().lock(), "{}", shown(name, line)).is_err()
                && let Ok(mut gone) = gone.lock()
            {
                *gone = true;
            }
        })
    };
    if !options.follow {
        return logs.iter().try_for_each(|(name, path)| work(name, path));
    }
    thread::scope(|scope| {
        let threads: Vec<_> = logs.iter().map(|(name, path)| scope.spawn(|| work(name, path))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("following does not panic"))
    })
}

/// The lines that name a task, by time; one without a time stays behind the one that its service wrote before it.
fn story(logs: &[(String, PathBuf)], task: &str) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String, String)> = Vec::new();
    for (name, path) in logs {
        let mut last = String::new();
        for line in last_lines(path, usize::MAX) {
            last = time(&line).unwrap_or(last);
            if line.contains(task) {
                lines.push((last.clone(), name.clone(), line));
            }
        }
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.into_iter().map(|(_, name, line)| (name, line)).collect()
}

fn none_of(logs: &[(String, PathBuf)]) -> String {
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    format!("no line of {}", names.join(", "))
}

/// The environment and the service. A word alone is the environment, where one has this name.
fn asked<'a>(context: &Context, options: &'a Options) -> Result<(&'a str, Option<&'a str>)> {
    let is_environment =
        |word: &str| Deployed::found(word).is_some() || site::named(&context.root, word).is_ok();
    let words: Vec<&str> = options.what.iter().map(String::as_str).collect();
    match (options.environment.as_deref(), &words[..]) {
        (Some(environment), [] | [_]) => Ok((environment, words.first().copied())),
        (None, [environment, service]) => Ok((environment, Some(service))),
        (None, [word]) if is_environment(word) => Ok((word, None)),
        (None, _) => Ok((DEFAULT, words.first().copied())),
        (Some(environment), _) => Err(refused(format!(
            "--environment {environment} and two words more: expected the environment once, and a service"
        ))),
    }
}

/// Of the services' logs.
fn folder(context: &Context, environment: &str) -> Result<PathBuf> {
    let place = match Deployed::found(environment) {
        Some(deployed) => deployed.folder(),
        None => {
            site::named(&context.root, environment)?;
            context.state().join(environment)
        }
    };
    Ok(place.join(LOGS))
}

fn chosen(folder: &Path, environment: &str, service: Option<&str>) -> Result<Vec<(String, PathBuf)>> {
    let mut logs: Vec<(String, PathBuf)> = std::fs::read_dir(folder)
        .map_err(|_| refused(format!("{environment} has no logs here; start it with `{PROGRAM} dev`")))?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".log")?.to_owned();
            Some((name, entry.path()))
        })
        .collect();
    logs.sort();
    let Some(wanted) = service else { return Ok(logs) };
    let names: Vec<&str> = logs.iter().map(|(name, _)| name.as_str()).collect();
    let found = logs.iter().find(|(name, _)| name == wanted).cloned();
    let of_replicas = logs.iter().filter(|(name, _)| name.starts_with(&format!("{wanted}-"))).cloned();
    let matching: Vec<_> = found.into_iter().chain(of_replicas).collect();
    if matching.is_empty() {
        let hint = hint(wanted, names.iter().copied());
        return Err(refused(format!("no log of {wanted}: expected one of {}{hint}", names.join(", "))));
    }
    Ok(matching)
}
