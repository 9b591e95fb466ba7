//! Labels that stand on every log line.

use serde::{Deserialize, Serialize};

/// One label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub name: &'static str,
    pub purpose: &'static str,
    pub example: &'static str,
    /// Whether its values have no bound. Such a label must never become a label of a metric.
    pub unbounded: bool,
}
