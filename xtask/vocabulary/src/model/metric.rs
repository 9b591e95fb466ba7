//! Metrics that a service exports.

use serde::{Deserialize, Serialize};

use super::MetricRef;

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
