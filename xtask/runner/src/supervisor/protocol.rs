//! What is said over the control socket: one JSON line asks, one or more answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::service::{ProcessSpec, ServiceName};

/// Raised when a line changes its meaning: a client does not talk to a supervisor of another version.
pub const VERSION: u32 = 2;

/// `{"ask": "restart", "name": "node-red-a"}`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    Ping,
    Status,
    /// How a service was asked to run.
    Spec {
        name: ServiceName,
    },
    Start {
        spec: Box<ProcessSpec>,
    },
    /// Answered when it has ended.
    Stop {
        name: ServiceName,
    },
    /// Answered when the new process has started; its health shows in the events.
    Restart {
        name: ServiceName,
    },
    /// Stops it and forgets it; a name that is not known is fine.
    Remove {
        name: ServiceName,
    },
    /// Answered when every process has ended; then the supervisor ends.
    Shutdown,
    /// Answered by events with a larger id than `since`, one a line; with `follow` without end. Empty lines mean
    /// nothing.
    Events {
        since: u64,
        follow: bool,
    },
}

/// The answer to every request but [`Request::Events`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Pong {
        pid: u32,
        version: u32,
    },
    Status {
        services: Vec<ServiceStatus>,
        /// Id of the last event before this status.
        last_event: u64,
    },
    /// The service that was asked for, as it is now.
    Service(Box<ServiceStatus>),
    Spec(Box<ProcessSpec>),
    Done,
    /// Why not.
    Error(String),
}

/// A service as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub name: ServiceName,
    pub state: State,
    pub health: HealthState,
    /// Of the running process; also its group.
    pub pid: Option<u32>,
    /// Milliseconds since 1970, of the running process.
    pub started_ms: Option<u64>,
    /// By policy, since it was asked to start.
    pub restarts: u32,
    /// Why it is not healthy, or how it last ended.
    pub reason: Option<String>,
    pub ports: BTreeMap<String, u16>,
    pub log: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    /// It ended and waits for its next start.
    BackingOff,
    Stopping,
    /// It was asked to.
    Stopped,
    /// It ended by itself, with success, and stays so.
    Ended,
    /// It ended, or could not start, and is given up.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No process runs.
    None,
    /// It has not been healthy yet.
    Starting,
    Healthy,
    Unhealthy,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 for each supervisor.
    pub id: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Nothing when it is about the supervisor itself.
    pub service: Option<ServiceName>,
    pub kind: EventKind,
    /// For people: `exit code 1; starts again in 0.2s`.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Of the supervisor: what an earlier one left was ended.
    Recovered,
    Started,
    Healthy,
    Unhealthy,
    /// It ended by itself and starts again.
    Crashed,
    /// It ended by itself with success.
    Ended,
    /// It is given up.
    Failed,
    Stopped,
    /// Files changed and what was to be done is done.
    Reloaded,
    /// Files changed and what was to be done failed.
    ReloadFailed,
}
