//! VictoriaLogs: keeps and searches the structured logs; high-cardinality labels are indexed fields.

use vocabulary::model::{
    Command, Container, Exposure, Fact, Folder, Health, Identity, Lifetime, MetricKind, MetricRef, Port,
    PortRef, Process, Protocol, Resources, Service, ServiceId, Shape, Stop, Storage, Value, Volume,
    VolumeRef,
};

use super::{images, pins};

pub const ID: ServiceId = ServiceId("victoria-logs");
pub const HTTP: PortRef = PortRef { service: ID, name: "http" };
pub const VL_ROWS_INGESTED_TOTAL: MetricRef = MetricRef("vl_rows_ingested_total");
pub const VL_ROWS_DROPPED_TOTAL: MetricRef = MetricRef("vl_rows_dropped_total");
pub const VL_STORAGE_IS_READ_ONLY: MetricRef = MetricRef("vl_storage_is_read_only");
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };

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
        volumes: vec![Volume { name: DATA.name, purpose: "the logs", precious: false }],
        metrics: vec![
            super::foreign(VL_ROWS_INGESTED_TOTAL, MetricKind::Counter, "Log lines that arrived", &["type"]),
            super::foreign(
                VL_ROWS_DROPPED_TOTAL,
                MetricKind::Counter,
                "Log lines that arrived and were not kept, by reason",
                &["reason"],
            ),
            super::foreign(
                VL_STORAGE_IS_READ_ONLY,
                MetricKind::Gauge,
                "1 while the disk is so full that no lines are taken",
                &["path"],
            ),
        ],
        alerts: super::victoria_logs_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "victoria-logs",
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            // The image has no folder for it. In this one anybody may write, and a new volume takes that over.
            folders: vec![Folder { volume: DATA.name, path: "/var/tmp", storage: Storage::Volume }],
            ..images::plain(images::USER, arguments())
        })),
    }
}

fn arguments() -> Vec<Value> {
    vec![
        Value::Joined(vec![Value::Text("-storageDataPath="), Value::Folder(DATA)]),
        Value::Joined(vec![
            Value::Text("-httpListenAddr="),
            Value::BindAddress(HTTP),
            Value::Text(":"),
            Value::BindPort(HTTP),
        ]),
        Value::Joined(vec![Value::Text("-retentionPeriod="), Value::Fact(Fact::LogsKept)]),
        Value::Text("-memory.allowedBytes=256MiB"),
        Value::Text("-loggerFormat=json"),
    ]
}
