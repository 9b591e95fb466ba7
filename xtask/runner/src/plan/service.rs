//! What a supervised process is: its program, health, restarts, end, log and what is watched for it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::action::Probe;
use super::argument::{Arg, Secret};
use super::validate::is_name;

/// Names a supervised process: `[a-z0-9._-]+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceName(pub String);

impl From<&str> for ServiceName {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One process under the supervisor. Write `ProcessSpec { name: .., argv: .., log: .., ..ProcessSpec::default() }`.
///
/// It runs in a process group of its own, with nothing on standard input, both outputs in `log`, and only these
/// variables: `env`, and a few of the supervisor, such as `PATH` and `HOME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    pub name: ServiceName,
    /// The program (absolute, or looked up on PATH) and its arguments. Secrets belong in `env`, or better in files.
    pub argv: Vec<Arg>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Arg>,
    /// Absolute.
    pub cwd: PathBuf,
    /// Without one the process counts as healthy while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default)]
    pub restart: Restart,
    #[serde(default)]
    pub stop: Stop,
    pub log: LogFile,
    /// Shown in the status, by what they are for: `flows` = 1880. Not acted upon.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// Processes that this one uses: at a shutdown it is stopped before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<Watch>,
    /// Absolute: files of secrets, and folders of such files, that the process may read itself. Their values, also later
    /// ones, are masked in its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<PathBuf>,
}

impl Default for ProcessSpec {
    /// `name`, `argv`, `cwd` and `log` must be given: the supervisor refuses these empty ones.
    fn default() -> Self {
        Self {
            name: ServiceName(String::new()),
            argv: Vec::new(),
            env: BTreeMap::new(),
            cwd: PathBuf::new(),
            health: None,
            restart: Restart::default(),
            stop: Stop::default(),
            log: LogFile::default(),
            ports: BTreeMap::new(),
            after: Vec::new(),
            watch: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

impl ProcessSpec {
    /// Everything that is wrong with it; empty when it can be started.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, problem: &str| {
            if !good {
                problems.push(format!("service `{}`: {problem}", self.name));
            }
        };
        expect(
            is_name(&self.name.0),
            "the name contains other characters than lower-case letters, digits, `.`, `_` \
                                       and `-`",
        );
        expect(!self.argv.is_empty(), "no program");
        expect(self.cwd.is_absolute(), "the working folder is not absolute");
        expect(self.log.path.is_absolute(), "the path of the log is not absolute");
        expect(self.log.max_bytes > 0, "the log's size limit is 0 bytes");
        expect(!self.after.contains(&self.name), "it must stop before itself");
        expect(self.secrets.iter().all(|file| file.is_absolute()), "a place of secrets is not absolute");
        if let Some(health) = &self.health {
            let supervised = matches!(health.probe, Probe::Supervised { .. });
            expect(!supervised, "its probe asks the supervisor about itself");
            expect(health.interval_ms > 0 && health.start_interval_ms > 0, "its probe has an interval of 0");
            expect(health.timeout_ms > 0 && health.retries > 0, "its probe has no time or no tries");
        }
        for watch in &self.watch {
            expect(!watch.paths.is_empty() && !watch.actions.is_empty(), "a watch without paths or actions");
            expect(watch.paths.iter().all(|path| path.is_absolute()), "a watched path is not absolute");
        }
        problems
    }
}

/// How the supervisor learns whether the process does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Anything but [`Probe::Supervised`].
    pub probe: Probe,
    /// Milliseconds between two looks once it is healthy.
    pub interval_ms: u64,
    /// Milliseconds between two looks until it is healthy for the first time.
    pub start_interval_ms: u64,
    /// Milliseconds until one look counts as failed.
    pub timeout_ms: u64,
    /// Milliseconds after the start in which failed looks do not count.
    pub start_period_ms: u64,
    /// So many failed looks in a row make it unhealthy.
    pub retries: u32,
}

impl Health {
    /// `probe` every 2 s (every 50 ms until it first succeeds), 2 s for one look, 30 s to start, 3 retries.
    pub fn of(probe: Probe) -> Self {
        Self {
            probe,
            interval_ms: 2_000,
            start_interval_ms: 50,
            timeout_ms: 2_000,
            start_period_ms: 30_000,
            retries: 3,
        }
    }
}

/// What happens when the process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    pub policy: RestartPolicy,
    /// Milliseconds before the first restart; doubles with each further one inside the window.
    pub backoff_ms: u64,
    /// The longest wait, in milliseconds.
    pub backoff_max_ms: u64,
    /// More restarts than this inside the window, and it is given up as failed.
    pub max_restarts: u32,
    /// Length of that window in milliseconds.
    pub window_ms: u64,
}

impl Default for Restart {
    /// On failure, after 100 ms to 10 s, at most 5 times in a minute.
    fn default() -> Self {
        Self {
            policy: RestartPolicy::OnFailure,
            backoff_ms: 100,
            backoff_max_ms: 10_000,
            max_restarts: 5,
            window_ms: 60_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// It stays ended: with 0 it has done its work, otherwise it has failed.
    Never,
    /// Restarted unless it ends with 0.
    #[default]
    OnFailure,
    Always,
}

/// How the process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub signal: StopSignal,
    /// Milliseconds from the signal until the whole group is killed.
    pub grace_ms: u64,
}

impl Default for Stop {
    /// TERM, then KILL after 10 s.
    fn default() -> Self {
        Self { signal: StopSignal::Term, grace_ms: 10_000 }
    }
}

/// The signal goes to the process alone (a database ends its own children in order); KILL goes to the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    #[default]
    Term,
    Int,
    Quit,
    Usr1,
}

/// Where the outputs of the process go. Values of its secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Absolute; appended to.
    pub path: PathBuf,
    /// When it grows beyond this many bytes it becomes `PATH.1`, `PATH.1` becomes `PATH.2`, and so on.
    pub max_bytes: u64,
    /// So many of these are kept.
    #[serde(default = "one")]
    pub older: u32,
    /// Fields of each line. With some, a line is kept as a JSON object that also counts it; without, as it was written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether other users of the machine may read it, as far as its folder lets them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others_read: bool,
}

impl Default for LogFile {
    /// 10 MiB, twice: no path yet.
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            max_bytes: 10 * 1024 * 1024,
            older: one(),
            labels: BTreeMap::new(),
            others_read: false,
        }
    }
}

fn one() -> u32 {
    1
}

/// What is done when files change. Compared by content: a file that is saved unchanged, or replaced by the same, does
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Files, or folders with everything below them. Each may be missing at first.
    pub paths: Vec<PathBuf>,
    /// Names of files or folders that do not count, wherever they are: `node_modules`, or `*.swp` for an ending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Milliseconds of quiet before the change counts as complete.
    pub debounce_ms: u64,
    /// One after the other; the first failure ends the list.
    pub actions: Vec<WatchAction>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchAction {
    /// Restarts the service and waits until it is healthy, at most 60 s.
    Restart { service: ServiceName },
    /// Runs a program to its end. Paths of what changed are in `FLOWSHIP_CHANGED`, one a line.
    Exec {
        argv: Vec<Arg>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, Arg>,
        cwd: PathBuf,
        /// Absolute; appended to.
        log: PathBuf,
        /// Milliseconds until it is ended and has failed.
        time_limit_ms: u64,
    },
    /// Sends a request without a body; 2xx is a success. When an action before it has failed it is sent with the reason,
    /// as `{"refused": ".."}`, so that the service can say so.
    Http {
        method: String,
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bearer: Option<Secret>,
    },
}
