//! `cargo xtask logs`: what the services wrote, or what they wrote about one task.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::session::DEFAULT;
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
  cargo xtask logs --task 0198c7a2-5f5e-7c41-9d33-2f6e3a1b0c4d
  cargo xtask logs --json node-red-a | jq 'select(.level == \"error\")'")]
pub struct Options {
    /// The service, as `cargo xtask status` names it [default: all]
    service: Option<String>,
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
    #[arg(long, value_name = "ENV", default_value = DEFAULT)]
    environment: String,
}

/// With `--json` lines are given as they were written.
///
/// # Errors
/// Refused when no such service has a log here.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    site::named(&context.root, &options.environment)?;
    let logs = chosen(context, options)?;
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

fn chosen(context: &Context, options: &Options) -> Result<Vec<(String, PathBuf)>> {
    let folder = context.state().join(&options.environment).join(crate::engines::process::instance::LOGS);
    let mut logs: Vec<(String, PathBuf)> = std::fs::read_dir(&folder)
        .map_err(|_| {
            refused(format!("{} has no logs here; start it with `{PROGRAM} dev`", options.environment))
        })?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".log")?.to_owned();
            Some((name, entry.path()))
        })
        .collect();
    logs.sort();
    let Some(wanted) = &options.service else { return Ok(logs) };
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
