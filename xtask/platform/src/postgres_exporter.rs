//! PostgreSQL's statistics as metrics.

use vocabulary::model::{
    Command, Container, Destination, Edge, Exposure, Health, Identity, Lifetime, MetricKind, MetricRef, Need,
    Port, PortRef, Process, Protocol, Resources, SecretUse, Service, ServiceId, Stop, Value, Variable,
};

use super::{images, migrate, pins, postgres, prometheus, secrets};

pub const ID: ServiceId = ServiceId("postgres-exporter");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const PG_EXPORTER_LAST_SCRAPE_ERROR: MetricRef = MetricRef("pg_exporter_last_scrape_error");
pub const PG_STAT_ACTIVITY_COUNT: MetricRef = MetricRef("pg_stat_activity_count");
pub const PG_STAT_ACTIVITY_MAX_TX_DURATION: MetricRef = MetricRef("pg_stat_activity_max_tx_duration");
pub const PG_SETTINGS_MAX_CONNECTIONS: MetricRef = MetricRef("pg_settings_max_connections");
pub const PG_STAT_DATABASE_DEADLOCKS: MetricRef = MetricRef("pg_stat_database_deadlocks");
pub const PG_UP: MetricRef = MetricRef("pg_up");
/// That of pg_stat_replication is none for a receiver that applies nothing, as those of backups.
pub const PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF: MetricRef = MetricRef("pg_replication_slots_pg_wal_lsn_diff");

/// The labels of what it says of connections.
const ACTIVITY: &[&str] =
    &["datname", "state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event"];

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
            super::foreign(PG_UP, MetricKind::Gauge, "1 when PostgreSQL answered the exporter", &[]),
            super::foreign(
                PG_EXPORTER_LAST_SCRAPE_ERROR,
                MetricKind::Gauge,
                "1 when some statistics could not be read",
                &[],
            ),
            super::foreign(
                PG_STAT_ACTIVITY_COUNT,
                MetricKind::Gauge,
                "Connections, by what they do",
                ACTIVITY,
            ),
            super::foreign(
                PG_STAT_ACTIVITY_MAX_TX_DURATION,
                MetricKind::Gauge,
                "Seconds since the oldest transaction began",
                ACTIVITY,
            ),
            super::foreign(
                PG_SETTINGS_MAX_CONNECTIONS,
                MetricKind::Gauge,
                "Connections that PostgreSQL takes",
                &["server"],
            ),
            super::foreign(
                PG_STAT_DATABASE_DEADLOCKS,
                MetricKind::Counter,
                "Deadlocks that PostgreSQL ended",
                &["datid", "datname"],
            ),
            super::foreign(
                PG_REPLICATION_SLOTS_PG_WAL_LSN_DIFF,
                MetricKind::Gauge,
                "Bytes of WAL that the receiver of a replication slot is behind",
                &["slot_name", "database", "server"],
            ),
        ],
        alerts: super::postgres_exporter_alerts::alerts(),
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
        container: Container::Runs(Box::new(images::plain(
            images::NOBODY,
            vec![prometheus::listens(METRICS)],
        ))),
    }
}
