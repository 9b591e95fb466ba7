//! Grafana: dashboards over metrics and logs.

use vocabulary::model::{
    Container, Destination, Edge, Exposure, Health, Lifetime, Need, Port, PortRef, Protocol, Resources,
    SecretUse, Service, ServiceId, Stop, Volume,
};

use super::{pins, prometheus, secrets, victoria_logs};

pub const ID: ServiceId = ServiceId("grafana");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Grafana: dashboards",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::GRAFANA,
        ports: vec![Port {
            name: "web",
            number: 3000,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "dashboards",
        }],
        edges: vec![
            Edge {
                to: Destination::Port(prometheus::WEB),
                need: Need::Run,
                why: "queries metrics",
                scrape: None,
            },
            Edge {
                to: Destination::Port(victoria_logs::HTTP),
                need: Need::Run,
                why: "queries logs",
                scrape: None,
            },
        ],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![SecretUse {
            secret: secrets::GRAFANA_ADMIN_PASSWORD,
            variable: Some("GF_SECURITY_ADMIN_PASSWORD__FILE"),
        }],
        health: Some(Health::Http { port: WEB, path: "/api/health" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 512, cpu_millis: 500, pids: 128 },
        volumes: vec![Volume { name: "data", purpose: "users and preferences", precious: false }],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later,
    }
}
