//! `cargo xtask logs`: what the services wrote, or what they wrote about one task, workflow or node.
//!
//! The files of the services are the source of truth and keep only the newest lines; the log store, where one runs, has the
//! older ones too, and some twice. A search takes the lines of both, each once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::instance::{ADDRESS, LOGS};
use crate::engines::record_in;
use crate::session::deployed::folder_of;
use crate::session::{DEFAULT, host};
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use foundation::nearest::hint;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use judges::site;
use runner::supervisor::log_lines::{indented, short};
use runner::supervisor::{last_lines, tail};
use serde_json::{Map, Value};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask logs
  cargo xtask logs node-red-a -f
  cargo xtask logs postgres -n 200
  cargo xtask logs production node-red-a
  cargo xtask logs --task 0198c7a2-5f5e-7c41-9d33-2f6e3a1b0c4d
  cargo xtask logs production --workflow summarize --component node-red
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
    /// Print all lines of this workflow, in order
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "lines"])]
    workflow: Option<String>,
    /// Print all lines of this node of the flows, in order
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "lines"])]
    node: Option<String>,
    /// Print all lines of this component, in order
    #[arg(long, value_name = "NAME", conflicts_with_all = ["follow", "lines"])]
    component: Option<String>,
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
    let place = folder_of(context, environment)?;
    let logs = chosen(&place.join(LOGS), environment, service)?;
    let width = logs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let single = logs.len() == 1;
    let shown = |name: &str, line: &str| match (context.json, single) {
        (true, _) => line.to_owned(),
        (false, true) => short(line),
        (false, false) => format!("{name:<width$} {}", indented(&short(line), width)),
    };
    let search = Search::of(options);
    if !search.labels.is_empty() {
        let mut found = search.in_files(&logs);
        let record = record_in(&place)?;
        let api = context.platform.log_store.map(|store| store.api.to_string());
        let store = api.and_then(|api| record?.ports.get(&api).copied());
        match store.map(|port| search.in_store(&format!("http://{ADDRESS}:{port}"), environment)) {
            Some(Ok(stored)) => {
                // Of a unit that has no file any more too, unless one is asked for.
                let wanted = |unit: &str| service.is_none() || logs.iter().any(|(name, _)| name == unit);
                found.extend(stored.into_iter().filter(|(at, _)| wanted(&at.unit)));
            }
            Some(Err(error)) => eprintln!("the log store does not answer: {error:#}; {ONLY_FILES}"),
            None => eprintln!("{environment} runs no log store; {ONLY_FILES}"),
        }
        if found.is_empty() {
            bail!("{} names {search}; a log keeps only its newest lines", none_of(&logs));
        }
        let text = found.iter().map(|(at, line)| shown(&at.unit, line) + "\n");
        return stdout::text(&text.collect::<String>());
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

const ONLY_FILES: &str = "these are lines of the services' files, which keep only the newest";

/// Where a line stands among all; each is there once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    time: String,
    /// Which process wrote it.
    start: String,
    seq: u64,
    unit: String,
}

/// The labels that lines must have.
#[derive(Debug)]
struct Search<'a> {
    labels: Vec<(&'static str, &'a str)>,
}

impl std::fmt::Display for Search<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = |(name, value): &(&str, &str)| format!("the {} {value}", name.trim_end_matches("_id"));
        out.write_str(&self.labels.iter().map(words).collect::<Vec<_>>().join(" and "))
    }
}

impl<'a> Search<'a> {
    fn of(options: &'a Options) -> Self {
        let labels = [
            (TASK, &options.task),
            ("workflow_id", &options.workflow),
            ("node_id", &options.node),
            ("component", &options.component),
        ];
        Self {
            labels: labels.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect(),
        }
    }

    /// A line without a task of its own is about one when it names it: a statement of the database does.
    fn matches(&self, line: &str, fields: &Map<String, Value>) -> bool {
        self.labels.iter().all(|(name, value)| {
            let own = fields.get(*name).and_then(Value::as_str).unwrap_or_default();
            own == *value || (*name == TASK && own.is_empty() && line.contains(value))
        })
    }

    fn in_files(&self, logs: &[(String, PathBuf)]) -> BTreeMap<At, String> {
        let mut found = BTreeMap::new();
        for (unit, path) in logs {
            let mut last = String::new();
            for (number, line) in (0..).zip(last_lines(path, usize::MAX)) {
                let fields: Map<String, Value> = serde_json::from_str(&line).unwrap_or_default();
                last = text_of(&fields, "time").unwrap_or(last);
                if self.matches(&line, &fields) {
                    let start = text_of(&fields, "start").unwrap_or_default();
                    let seq = fields.get("seq").and_then(Value::as_u64).unwrap_or(number);
                    found.insert(At { time: last.clone(), start, seq, unit: unit.clone() }, line);
                }
            }
        }
        found
    }

    /// In LogsQL.
    fn query(&self, environment: &str) -> String {
        let quoted = |value: &str| Value::from(value).to_string();
        let conditions = self.labels.iter().map(|(name, value)| match *name {
            TASK => format!("({TASK}:={0} or ({TASK}:\"\" {0}))", quoted(value)),
            _ => format!("{name}:={}", quoted(value)),
        });
        let environment = format!("environment:={}", quoted(environment));
        std::iter::once(environment).chain(conditions).collect::<Vec<_>>().join(" ")
    }

    fn in_store(&self, url: &str, environment: &str) -> Result<BTreeMap<At, String>> {
        let url = format!("{url}/select/logsql/query");
        let config = ureq::Agent::config_builder().proxy(None).timeout_recv_response(Some(PATIENCE));
        let agent = ureq::Agent::from(config.build());
        let answer = agent.post(&url).send_form([("query", self.query(environment))])?;
        let mut found = BTreeMap::new();
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let record: Map<String, Value> = serde_json::from_str(&line?)?;
            let line = text_of(&record, "_msg").unwrap_or_default();
            let fields: Map<String, Value> = serde_json::from_str(&line).unwrap_or_default();
            let (Some(time), Some(start)) = (text_of(&fields, "time"), text_of(&fields, "start")) else {
                continue;
            };
            let seq = fields.get("seq").and_then(Value::as_u64).unwrap_or_default();
            let unit = start.rsplit_once('.').map_or("", |(unit, _)| unit).to_owned();
            found.insert(At { time, start, seq, unit }, line);
        }
        Ok(found)
    }
}

const TASK: &str = "task_id";
/// How long the store may take to its first line.
const PATIENCE: Duration = Duration::from_secs(30);

fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(fields.get(name)?.as_str()?.to_owned())
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
