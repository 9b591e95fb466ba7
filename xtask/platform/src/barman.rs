//! Barman: base backups and synchronous WAL streaming.

use vocabulary::model::{
    Command, Container, Destination, Edge, Group, Health, Image, Lifetime, Need, Resources, SecretUse,
    Service, ServiceId, Stop, Value, Volume,
};

use super::{images, postgres, secrets};

pub const ID: ServiceId = ServiceId("barman");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Barman: backups of PostgreSQL",
        group: Some(Group("backups")),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: Image::Built { dockerfile: images::PRODUCTION, target: "barman" },
        ports: vec![],
        edges: vec![Edge {
            to: Destination::Port(postgres::SQL),
            need: Need::Start,
            why: "copies and streams the database",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![SecretUse {
            secret: secrets::POSTGRES_BARMAN_PASSWORD,
            variable: Some("POSTGRES_BARMAN_PASSWORD_FILE"),
        }],
        health: Some(Health::Command(Command {
            program: "barman",
            arguments: vec![Value::Text("check"), Value::Text("flowship")],
            calls: vec![],
            variables: vec![],
        })),
        stop: Stop { signal: "SIGTERM", grace_seconds: 30 },
        resources: Resources { memory_mib: 512, cpu_millis: 1000, pids: 64 },
        volumes: vec![Volume { name: "backups", purpose: "base backups and WAL", precious: true }],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later,
    }
}
