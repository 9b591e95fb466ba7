//! OpenBao: keeps the secrets (Vault API).

use vocabulary::model::{
    Container, Exposure, Health, Lifetime, Port, PortRef, Protocol, Resources, SecretStore, Service,
    ServiceId, Stop, Volume,
};

use super::pins;

pub const ID: ServiceId = ServiceId("openbao");
pub const API: PortRef = PortRef { service: ID, name: "api" };
pub const STORE: SecretStore = SecretStore { api: API, mount: "flowship" };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "OpenBao: secrets",
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::OPENBAO,
        ports: vec![Port {
            name: "api",
            number: 8200,
            protocol: Protocol::Https,
            exposure: Exposure::Operator,
            purpose: "the Vault API",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: API, path: "/v1/sys/health?standbyok=true" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 256, cpu_millis: 500, pids: 64 },
        volumes: vec![Volume { name: "data", purpose: "the sealed secrets", precious: true }],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later { with: "secrets" },
    }
}
