//! PostgreSQL's statistics as metrics.

use vocabulary::model::{
    Alert, Command, Container, Destination, Edge, Exposure, Health, Identity, Lifetime, Metric, MetricKind,
    MetricRef, Need, Port, PortRef, Process, Protocol, Resources, SecretUse, Service, ServiceId, Severity,
    Stop, Value, Variable,
};

use super::{migrate, pins, postgres, prometheus, secrets};

pub const ID: ServiceId = ServiceId("postgres-exporter");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const PG_UP: MetricRef = MetricRef("pg_up");
pub const PG_STAT_REPLICATION_PG_WAL_LSN_DIFF: MetricRef = MetricRef("pg_stat_replication_pg_wal_lsn_diff");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "postgres-exporter: metrics of PostgreSQL",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::POSTGRES_EXPORTER,
        ports: vec![Port {
            name: "metrics",
            number: 9187,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "/metrics",
        }],
        edges: vec![Edge {
            to: Destination::Port(postgres::SQL),
            need: Need::Run,
            why: "reads statistics",
            scrape: None,
        }],
        starts_after: vec![migrate::ID],
        variables: vec![
            Variable {
                name: "DATA_SOURCE_URI",
                value: Value::Joined(vec![
                    Value::Host(postgres::SQL),
                    Value::Text(":"),
                    Value::Number(postgres::SQL),
                    Value::Text("/"),
                    Value::Text(postgres::DATABASE),
                    // As all other clients: the network between them is internal.
                    Value::Text("?sslmode=disable"),
                ]),
            },
            Variable { name: "DATA_SOURCE_USER", value: Value::Text("flowship_exporter") },
        ],
        secrets: vec![SecretUse {
            secret: secrets::POSTGRES_EXPORTER_PASSWORD,
            variable: Some("DATA_SOURCE_PASS_FILE"),
        }],
        health: Some(Health::Http { port: METRICS, path: "/" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 64, cpu_millis: 250, pids: 32 },
        volumes: vec![],
        metrics: vec![
            Metric {
                name: PG_UP,
                kind: MetricKind::Gauge,
                help: "1 when PostgreSQL answered the exporter",
                labels: vec![],
                ours: false,
            },
            Metric {
                name: PG_STAT_REPLICATION_PG_WAL_LSN_DIFF,
                kind: MetricKind::Gauge,
                help: "Bytes of WAL that a receiver is behind",
                labels: vec!["application_name"],
                ours: false,
            },
        ],
        alerts: vec![Alert {
            name: "PostgresDown",
            severity: Severity::Critical,
            expression: "pg_up == 0",
            reads: vec![PG_UP],
            for_minutes: 1,
            summary: "PostgreSQL does not answer: tasks are refused with 503.",
            remedy: "Read the log of postgres; the replicas reconnect by themselves when it is back.",
        }],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "postgres_exporter",
                arguments: vec![prometheus::listens(METRICS)],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Later,
    }
}
