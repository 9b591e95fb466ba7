//! `flows/platform.json`: the facts that the JavaScript of the flows shares with the platform.

use serde_json::{Map, Value, json};
use vocabulary::formats::json;
use vocabulary::model::{Metric, MetricKind, Platform};

use super::artifact::{Artifact, Committed, Made};

pub const FAMILY: Committed = Committed {
    name: "flow-facts",
    what: "flows/platform.json: labels, metrics, smoke checks and the queue, as the launcher and the nodes read them",
    source: file!(),
    make: generate,
};

fn generate(platform: &Platform) -> Made {
    let metrics = &platform.worker_service()?.metrics;
    let facts = json!({
        "labels": platform.labels.iter().map(|label| label.name).collect::<Vec<_>>(),
        "metrics": metrics.iter().filter(|metric| metric.ours).map(definition).collect::<Map<_, _>>(),
        "smoke": {
            "checks": platform.smoke.checks.iter().map(|check| check.name).collect::<Vec<_>>(),
            "time_limit_ms": platform.smoke.check_limit_ms,
        },
        "queues": platform.queue,
        "requests": {
            "answer_limit_seconds": platform.edge.answer_limit_seconds,
            "edge_limit_seconds": platform.draining.limit_seconds,
        },
    });
    Ok(vec![Artifact::file("flows/platform.json", json::pretty(&facts, 4))])
}

fn definition(metric: &Metric) -> (String, Value) {
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram { .. } => "histogram",
    };
    let mut definition = json!({ "kind": kind, "help": metric.help, "labels": metric.labels });
    if let MetricKind::Histogram { buckets } = &metric.kind {
        definition["buckets"] = json!(buckets);
    }
    (metric.name.to_string(), definition)
}
