//! Metrics that a service exports.

use serde::{Deserialize, Serialize};

use super::MetricRef;
use crate::model::expression::Selector;

/// One metric. Task ids are never labels: their number has no bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: MetricRef,
    pub kind: MetricKind,
    pub help: &'static str,
    pub labels: Vec<&'static str>,
    /// Whether this code exports it (its definition is then handed to the code), or the program itself does.
    pub ours: bool,
}

/// Kinds of Prometheus metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    Counter,
    Gauge,
    /// Upper bounds of the buckets, in seconds, rising.
    Histogram {
        buckets: Vec<f64>,
    },
}

impl MetricRef {
    /// All its series.
    #[must_use]
    pub fn series(self) -> Selector {
        Selector::of(self.0)
    }

    /// The buckets of a histogram.
    #[must_use]
    pub fn buckets(self) -> Selector {
        Selector::of(format!("{}_bucket", self.0))
    }

    /// How often a histogram observed something.
    #[must_use]
    pub fn observations(self) -> Selector {
        Selector::of(format!("{}_count", self.0))
    }
}

/// How often a deploy ended, and how.
pub const DEPLOYS_TOTAL: MetricRef = MetricRef("flowship_deploys_total");
/// When a secret is to be replaced.
pub const SECRET_DUE: MetricRef = MetricRef("flowship_secret_due_timestamp_seconds");

const fn of_commands(
    name: MetricRef,
    kind: MetricKind,
    help: &'static str,
    labels: Vec<&'static str>,
) -> Metric {
    Metric { name, kind, help, labels, ours: true }
}

/// What each deploy leaves in a file of metrics: it ends long before anybody could scrape it.
#[must_use]
pub fn deploy_metrics() -> [Metric; 3] {
    [
        of_commands(
            DEPLOYS_TOTAL,
            MetricKind::Counter,
            "Deploys, promotions and rollbacks, by result.",
            vec!["environment", "result"],
        ),
        of_commands(
            MetricRef("flowship_deploy_last_timestamp_seconds"),
            MetricKind::Gauge,
            "When the last one with this result ended, in seconds since 1970.",
            vec!["environment", "result"],
        ),
        of_commands(
            MetricRef("flowship_deploy_duration_seconds"),
            MetricKind::Gauge,
            "How long the last one took.",
            vec!["environment"],
        ),
    ]
}

/// What each command that starts an environment or changes its secrets leaves there, for each secret.
#[must_use]
pub fn secret_metrics() -> [Metric; 2] {
    let labels = || vec!["environment", "secret"];
    [
        of_commands(
            MetricRef("flowship_secret_changed_timestamp_seconds"),
            MetricKind::Gauge,
            "When a secret was last changed, in seconds since 1970.",
            labels(),
        ),
        of_commands(
            SECRET_DUE,
            MetricKind::Gauge,
            "When a secret is to be replaced, in seconds since 1970.",
            labels(),
        ),
    ]
}

/// All that commands leave in files, whatever the platform is.
#[must_use]
pub fn command_metrics() -> Vec<Metric> {
    [&deploy_metrics()[..], &secret_metrics()].concat()
}
