//! The OpenTelemetry collector: takes the containers' JSON lines to the log store.

use vocabulary::model::{
    Command, Container, Destination, Edge, Exposure, Fact, Folder, Health, Identity, Lifetime, LogStore,
    MetricKind, MetricRef, Need, Port, PortRef, Process, Protocol, Resources, Service, ServiceId, Shape,
    Stop, Storage, Value, Variable, Volume, VolumeRef,
};

use super::{edge, images, pins, victoria_logs};

pub const ID: ServiceId = ServiceId("otel-collector");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const HEALTH: PortRef = PortRef { service: ID, name: "health" };
pub const TLS_HANDSHAKE_SUCCEEDS: MetricRef = MetricRef("flowship_tls_handshake_succeeds");
pub const TLS_CERTIFICATE_BEGINS_SECONDS: MetricRef = MetricRef("flowship_tls_certificate_begins_seconds");
pub const TLS_CERTIFICATE_ENDS_SECONDS: MetricRef = MetricRef("flowship_tls_certificate_ends_seconds");
const POSITIONS: VolumeRef = VolumeRef { service: ID, name: "positions" };

const fn variable(name: &'static str, value: Value) -> Variable {
    Variable { name, value }
}

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "OpenTelemetry collector: ships logs, looks at the edge's certificate",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::BUSYBOX,
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
        edges: vec![
            Edge {
                to: Destination::Port(victoria_logs::HTTP),
                need: Need::Start,
                why: "writes logs",
                scrape: None,
            },
            Edge {
                to: Destination::Port(edge::HTTPS),
                need: Need::Run,
                why: "looks at the certificate",
                scrape: None,
            },
        ],
        starts_after: vec![],
        variables: vec![
            variable("LOG_FOLDER", Value::Fact(Fact::LogFolder)),
            variable("LOG_STORE", Value::Url { port: victoria_logs::HTTP, path: "" }),
            variable("EDGE_URL", Value::Url { port: edge::HTTPS, path: "" }),
            variable("POSITIONS", Value::Folder(POSITIONS)),
            variable("HEALTH_HOST", Value::BindAddress(HEALTH)),
            variable("HEALTH_PORT", Value::BindPort(HEALTH)),
            variable("METRICS_HOST", Value::BindAddress(METRICS)),
            variable("METRICS_PORT", Value::BindPort(METRICS)),
        ],
        secrets: vec![],
        health: Some(Health::Http { port: HEALTH, path: "/" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 256, cpu_millis: 500, pids: 64 },
        volumes: vec![Volume { name: POSITIONS.name, purpose: "how far each log was read", precious: false }],
        metrics: vec![
            super::foreign(
                TLS_HANDSHAKE_SUCCEEDS,
                MetricKind::Gauge,
                "1 when the edge completed a TLS handshake",
                &[],
            ),
            super::foreign(
                TLS_CERTIFICATE_BEGINS_SECONDS,
                MetricKind::Gauge,
                "When the certificate that the edge presents begins, in seconds since 1970",
                &[],
            ),
            super::foreign(
                TLS_CERTIFICATE_ENDS_SECONDS,
                MetricKind::Gauge,
                "When the certificate that the edge presents ends, in seconds since 1970",
                &[],
            ),
        ],
        alerts: vec![],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "otel-collector",
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            // The only folder of the image in which anybody may write, which a new volume takes over.
            folders: vec![Folder { volume: POSITIONS.name, path: "/tmp", storage: Storage::Volume }],
            ..images::plain(images::USER, [vec![Value::Text(LogStore::PROGRAM)], arguments()].concat())
        })),
    }
}

fn arguments() -> Vec<Value> {
    vec![
        Value::Joined(vec![Value::Text("--config="), Value::Tree(LogStore::CONFIGURATION)]),
        // Lines are not collected before they are sent: those would be lost with the process.
        Value::Text("--feature-gates=stanza.synchronousLogEmitter"),
    ]
}
