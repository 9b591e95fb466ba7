//! Prometheus: reads every metric, judges the alert rules.

use vocabulary::model::{
    Alert, Container, Destination, Edge, Exposure, Health, Lifetime, Metric, MetricKind, MetricRef, Need,
    Port, PortRef, Protocol, Resources, Scrape, Service, ServiceId, Severity, Stop, Volume,
};

use super::{
    alertmanager, edge, grafana, node_exporter, node_red, openbao, otel_collector, pins, postgres_exporter,
    victoria_logs,
};

pub const ID: ServiceId = ServiceId("prometheus");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };
pub const UP: MetricRef = MetricRef("up");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Prometheus: metrics and alert rules",
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::PROMETHEUS,
        ports: vec![Port {
            name: "web",
            number: 9090,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "queries and the status pages",
        }],
        edges: vec![
            Edge { to: Destination::Port(node_red::OPS), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(edge::STATS), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(node_exporter::METRICS), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(postgres_exporter::METRICS), need: Need::Run, why: "scrapes" },
            Edge {
                to: Destination::Port(alertmanager::WEB),
                need: Need::Run,
                why: "scrapes, and delivers alerts",
            },
            Edge { to: Destination::Port(grafana::WEB), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(otel_collector::METRICS), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(victoria_logs::HTTP), need: Need::Run, why: "scrapes" },
            Edge { to: Destination::Port(openbao::API), need: Need::Run, why: "scrapes" },
        ],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: WEB, path: "/-/healthy" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 1024, cpu_millis: 1000, pids: 128 },
        volumes: vec![Volume { name: "data", purpose: "the time series", precious: false }],
        scrape: Some(Scrape { port: WEB, path: "/metrics", every_seconds: 15 }),
        metrics: vec![Metric {
            name: UP,
            kind: MetricKind::Gauge,
            help: "1 when the last scrape succeeded",
            labels: vec!["job", "instance"],
            ours: false,
        }],
        alerts: vec![Alert {
            name: "TargetDown",
            severity: Severity::Critical,
            expression: "up == 0",
            reads: vec![UP],
            for_minutes: 3,
            summary: "A service has not answered its scrapes for three minutes.",
            remedy: "See whether the service that the label names runs and is healthy; read its log.",
        }],
        process: None,
        container: Container::Later { with: "monitoring" },
    }
}
