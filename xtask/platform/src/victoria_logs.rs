//! VictoriaLogs: keeps and searches the structured logs; high-cardinality labels are indexed fields.

use vocabulary::model::{
    Container, Exposure, Health, Lifetime, Port, PortRef, Protocol, Resources, Service, ServiceId, Stop,
    Volume,
};

use super::pins;

pub const ID: ServiceId = ServiceId("victoria-logs");
pub const HTTP: PortRef = PortRef { service: ID, name: "http" };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "VictoriaLogs: log store",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::VICTORIA_LOGS,
        ports: vec![Port {
            name: "http",
            number: 9428,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "ingests and queries logs",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: HTTP, path: "/health" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 512, cpu_millis: 1000, pids: 64 },
        volumes: vec![Volume { name: "data", purpose: "the logs", precious: false }],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later,
    }
}
