//! The queue that tasks wait in.

use serde::{Deserialize, Serialize};

/// How tasks are queued, retried and forgotten. The code of the flows reads these, it does not repeat them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePolicy {
    pub task: &'static str,
    /// Where a task goes whose retries are used up.
    pub dead_letter: &'static str,
    /// Prefix of the queue that each smoke run makes and removes.
    pub smoke_prefix: &'static str,
    /// Attempts after the first, unless the task's workflow says otherwise.
    pub retry_limit: u16,
    pub retry_delay_seconds: u32,
    pub retry_delay_max_seconds: u32,
    /// Whether the delay doubles with each attempt.
    pub retry_backoff: bool,
    /// A task that a provider asked to wait (`Retry-After`) waits at most this long before it is tried again.
    pub park_max_seconds: u32,
    /// A task that was accepted longer ago is not parked any more: its attempts count again.
    pub park_within_seconds: u32,
    /// An attempt that has not finished by then has failed, unless its workflow says otherwise.
    pub expire_seconds: u32,
    /// A worker that has not given a sign of life for so long is taken for dead.
    pub heartbeat_seconds: u32,
    /// How often the states of queues are counted.
    pub monitor_seconds: u32,
    /// A job that nobody fetched by then is dropped.
    pub retention_seconds: u32,
    /// A finished job is removed after this.
    pub delete_after_seconds: u32,
    /// How often a worker asks for work.
    pub poll_ms: u32,
    /// How often a worker asks whether its queue is drained.
    pub control_poll_ms: u32,
    /// Tasks that one replica works on at once, of all workflows.
    pub in_flight: u16,
    /// A replica whose tasks have inputs of so many characters together takes no more.
    pub in_flight_characters: u32,
    /// Tasks of one workflow that one replica works on at once, unless the workflow says otherwise.
    pub concurrency: u16,
}
