//! How an engine learns that a service is well.

use serde::{Deserialize, Serialize};

use super::{Command, PortRef};

/// A health check. Every long-running service has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// A GET answers with a status from 200 to 299.
    Http { port: PortRef, path: &'static str },
    /// The port accepts a connection.
    Tcp { port: PortRef },
    /// The program exits with 0.
    Command(Command),
}
