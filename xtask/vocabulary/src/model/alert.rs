//! Rules: what is watched, how urgent it is, what the person does who is told, and the tests of it.

use serde::{Deserialize, Serialize};

use super::MetricRef;
use crate::model::expression::Expression;

/// One alert rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// CamelCase, unique. The runbook `docs/runbooks/NAME.md` is made of the texts below.
    pub name: &'static str,
    pub severity: Severity,
    pub expression: Expression,
    /// Minutes for which the expression must hold.
    pub for_minutes: u16,
    /// Who answers for the rule: keeps it useful, or removes it.
    pub owner: &'static str,
    /// What is the case when it fires.
    pub meaning: &'static str,
    /// Who notices what.
    pub impact: &'static str,
    pub checks: Vec<Check>,
    /// What ends it.
    pub remedy: &'static str,
    pub tests: Vec<RuleTest>,
}

/// One recording rule: its result is a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// `level:metric:operation`.
    pub name: MetricRef,
    pub expression: Expression,
    pub help: &'static str,
    pub tests: Vec<RuleTest>,
}

/// Where an alert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wakes somebody (PagerDuty).
    Critical,
    /// Is read in office hours (e-mail and Slack).
    Warning,
    /// For those who answer for the workflows.
    Business,
    /// Always fires; a receiver outside notices when it stops.
    Heartbeat,
}

impl Severity {
    /// The value of the label `severity`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Business => "business",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// One look at the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A command of an operator, such as `flowship status ENV`.
    pub command: &'static str,
    /// What to look for in what it prints.
    pub look_for: &'static str,
}

/// What a rule makes of some series, one sample a minute, from minute 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleTest {
    pub kind: TestKind,
    /// What happens.
    pub what: &'static str,
    pub series: Vec<Series>,
    pub expects: Vec<Expected>,
}

/// What a test shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// It fires.
    Firing,
    /// It does not, where one could think so.
    Silent,
    /// On one side of a threshold or of the time it does, on the other it does not.
    Boundary,
}

/// One series of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub metric: MetricRef,
    /// `_bucket`, `_sum` or `_count` of a histogram, or nothing.
    pub part: &'static str,
    /// As between the braces of a selector: `a="1",b="2"`.
    pub labels: &'static str,
    pub samples: Samples,
}

/// Samples in promtool's notation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(pub String);

impl Samples {
    /// The same value for some minutes.
    #[must_use]
    pub fn level(value: f64, minutes: u32) -> Self {
        Self::rising(value, 0.0, minutes)
    }

    /// A counter.
    #[must_use]
    pub fn rising(from: f64, per_minute: f64, minutes: u32) -> Self {
        // The first sample is not counted.
        Self(format!("{from}+{per_minute}x{}", minutes.saturating_sub(1)))
    }

    /// Nothing is scraped.
    #[must_use]
    pub fn missing(minutes: u32) -> Self {
        Self(format!("_x{minutes}"))
    }

    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        Self(format!("{} {}", self.0, next.0))
    }

    /// The target is gone from the configuration.
    #[must_use]
    pub fn gone(self) -> Self {
        Self(format!("{} stale", self.0))
    }
}

/// What is so at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub minute: u32,
    /// For each alert that fires, or each sample that is recorded, its labels as between the braces of a selector;
    /// empty where none is.
    #[serde(borrow)]
    pub labels: Vec<&'static str>,
    /// Of a recording rule, the value of each.
    pub values: Vec<f64>,
}
