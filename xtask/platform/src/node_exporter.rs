//! The host's resources as metrics.

use vocabulary::model::{
    Alert, Command, Container, Exposure, Fact, Health, Identity, Lifetime, Metric, MetricKind, MetricRef,
    Port, PortRef, Process, Protocol, Resources, Service, ServiceId, Severity, Stop, Value,
};

use super::{pins, prometheus};

pub const ID: ServiceId = ServiceId("node-exporter");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const NODE_FILESYSTEM_AVAIL_BYTES: MetricRef = MetricRef("node_filesystem_avail_bytes");
pub const NODE_FILESYSTEM_SIZE_BYTES: MetricRef = MetricRef("node_filesystem_size_bytes");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "node-exporter: metrics of the host",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::NODE_EXPORTER,
        ports: vec![Port {
            name: "metrics",
            number: 9100,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "/metrics",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: METRICS, path: "/" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 64, cpu_millis: 250, pids: 32 },
        volumes: vec![],
        metrics: vec![
            Metric {
                name: NODE_FILESYSTEM_AVAIL_BYTES,
                kind: MetricKind::Gauge,
                help: "Bytes that users may still write",
                labels: vec!["mountpoint"],
                ours: false,
            },
            Metric {
                name: NODE_FILESYSTEM_SIZE_BYTES,
                kind: MetricKind::Gauge,
                help: "Size of the file system",
                labels: vec!["mountpoint"],
                ours: false,
            },
        ],
        alerts: vec![Alert {
            name: "DiskFillsUp",
            severity: Severity::Critical,
            expression: "node_filesystem_avail_bytes < 0.1 * node_filesystem_size_bytes",
            reads: vec![NODE_FILESYSTEM_AVAIL_BYTES, NODE_FILESYSTEM_SIZE_BYTES],
            for_minutes: 10,
            summary: "Less than a tenth of a file system is free.",
            remedy: "Find what grows; shorten retention in ops/environments or enlarge the disk.",
        }],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "node_exporter",
                arguments: vec![
                    prometheus::listens(METRICS),
                    Value::Joined(vec![
                        Value::Text("--collector.textfile.directory="),
                        Value::Fact(Fact::MetricsFolder),
                    ]),
                ],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Later,
    }
}
