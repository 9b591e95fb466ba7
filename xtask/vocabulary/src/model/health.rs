//! How an engine learns that a service is well.

use serde::{Deserialize, Serialize};

use super::{Command, PortRef};

/// A health check: a question that the service itself answers. That a port accepts a connection is no answer: the kernel
/// accepts it for a process that hangs. Every long-running service has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// A GET answers with a status from 200 to 299.
    Http { port: PortRef, path: &'static str },
    /// The program exits with 0.
    Command(Command),
}
