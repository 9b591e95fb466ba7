//! Alerts: what is watched, how urgent it is, what the person does who receives it.

use serde::{Deserialize, Serialize};

use super::MetricRef;

/// One alert rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// CamelCase, unique.
    pub name: &'static str,
    pub severity: Severity,
    /// PromQL. Every metric that it reads stands in `reads`.
    pub expression: &'static str,
    pub reads: Vec<MetricRef>,
    /// Minutes for which the expression must hold.
    pub for_minutes: u16,
    pub summary: &'static str,
    /// The first thing to do.
    pub remedy: &'static str,
}

/// Where an alert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wakes somebody (PagerDuty).
    Critical,
    /// Is read in office hours (e-mail and Slack).
    Warning,
}
