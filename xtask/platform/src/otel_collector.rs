//! The OpenTelemetry collector: takes the containers' JSON lines to the log store.

use vocabulary::model::{
    Container, Destination, Edge, Exposure, Health, Lifetime, Need, Port, PortRef, Protocol, Resources,
    Service, ServiceId, Stop, Volume,
};

use super::{pins, victoria_logs};

pub const ID: ServiceId = ServiceId("otel-collector");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const HEALTH: PortRef = PortRef { service: ID, name: "health" };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "OpenTelemetry collector: ships logs",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::OTEL_COLLECTOR,
        ports: vec![
            Port {
                name: "metrics",
                number: 8888,
                protocol: Protocol::Http,
                exposure: Exposure::Internal,
                purpose: "/metrics",
            },
            Port {
                name: "health",
                number: 13133,
                protocol: Protocol::Http,
                exposure: Exposure::Operator,
                purpose: "/ answers when it runs",
            },
        ],
        edges: vec![Edge {
            to: Destination::Port(victoria_logs::HTTP),
            need: Need::Run,
            why: "writes logs",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: HEALTH, path: "/" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 256, cpu_millis: 500, pids: 64 },
        volumes: vec![Volume { name: "positions", purpose: "how far each log was read", precious: false }],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later,
    }
}
