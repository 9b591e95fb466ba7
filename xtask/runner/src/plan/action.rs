//! The closed list of things a step can do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::argument::Arg;
use super::service::{ProcessSpec, ServiceName};

/// What a step does. Closed on purpose: what cannot be said here is a [`Native`] action of the plan's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<N = NoNative> {
    Exec(Exec),
    Http(Http),
    Write(Write),
    WaitFor(WaitFor),
    Supervise(Supervise),
    Native(N),
}

/// Runs a program in a process group of its own and waits for it; whatever is left of the group is ended with it.
///
/// Its output goes to the step's log. It may write `key=value` lines to the file that `FLOWSHIP_OUTPUT` names:
/// they become outputs of the step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// An absolute path, or a name that is looked up on PATH.
    pub program: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// Added to the environment of this process, or instead of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Arg>,
    /// Names of the variables of this process that it gets besides [default: all].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherits: Option<Vec<String>>,
    /// Absolute [default: the working folder of this process].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// Text on standard input [default: nothing]. The safe way to hand over a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Arg>,
    /// Standard output, without the newlines at its end, becomes the output `stdout` (at most 1 MiB).
    #[serde(default)]
    pub capture_stdout: bool,
}

/// One HTTP request. The answer's body becomes the output `body` (at most 1 MiB), its status the output `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `GET`, `POST`, ...
    pub method: String,
    pub url: Arg,
    /// Sent as `Authorization: Bearer ..`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Arg>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Arg>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Arg>,
    /// The statuses that are a success [default: any 2xx].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<u16>,
}

/// Puts a file in place: written beside, then renamed. Missing parent folders are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    pub path: PathBuf,
    pub contents: Arg,
    /// Permission bits, such as `0o600`.
    pub mode: u32,
}

/// Looks at something until it is as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    pub probe: Probe,
    /// Milliseconds until the step has failed.
    pub time_limit_ms: u64,
    /// Milliseconds between two looks.
    pub interval_ms: u64,
}

/// A look at the world that has an answer within a second or two, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A GET answers with this status.
    Http {
        url: String,
        status: u16,
        /// Only a server that proves itself with a certificate of this PEM file is believed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trusts: Option<PathBuf>,
    },
    /// The file exists.
    File { path: PathBuf },
    /// The supervisor says that the service is healthy (or running, when it has no probe). Ends at once with the
    /// tail of its log when the supervisor has given up on it.
    Supervised { state: PathBuf, service: ServiceName },
    /// The program exits with 0.
    Exec {
        argv: Vec<Arg>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, Arg>,
    },
}

/// Something asked of the supervisor whose state folder is `state`; it is started when it does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervise {
    /// The supervisor's own folder, absolute.
    pub state: PathBuf,
    pub request: ServiceRequest,
}

/// What can be asked for one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceRequest {
    /// Starts it; nothing happens when it runs with the same spec, it is replaced when the spec differs. Does not
    /// wait for its health: see [`Probe::Supervised`]. The process id becomes the output `pid`.
    Start(Box<ProcessSpec>),
    Stop(ServiceName),
    Restart(ServiceName),
    /// Stops it and forgets it.
    Remove(ServiceName),
    /// Stops everything, in reverse order, and the supervisor too. Nothing happens when none runs.
    Shutdown,
}

/// What a command does in this process, because no program does it: an enum with a variant for each action and its
/// parameters as fields. The command hands the function that carries them out to the [`super::runner::Runner`].
///
/// Plans are printed, hashed and logged with `{"name": .., "parameters": ..}`, so an implementation is
/// `#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]`.
pub trait Native: Serialize + Sync {
    /// Every argument among its fields that is not a literal: only these may be resolved when it runs.
    fn args(&self) -> Vec<&Arg> {
        Vec::new()
    }
}

/// The native actions of a plan that has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoNative {}

impl Native for NoNative {}
