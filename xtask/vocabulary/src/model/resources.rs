//! Limits of a service. Every service has all three (CIS Docker Benchmark 5.11, 5.12 and 5.29).

use serde::{Deserialize, Serialize};

/// Hard limits of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    pub memory_mib: u32,
    /// Thousandths of one core.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
}
