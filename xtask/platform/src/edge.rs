//! The edge: HAProxy terminates TLS, limits, routes and drains.

use vocabulary::model::{
    Command, ConfigurationFile, Container, Destination, Edge, EdgePolicy, Exposure, Fact, Folder, Health,
    Identity, Lifetime, MetricKind, MetricRef, Need, Port, PortRef, Probe, Process, Protocol, Resources,
    SecretUse, Service, ServiceId, Shape, Stop, Storage, User, Value, Variable, Volume, VolumeRef,
};

use super::{images, node_red, pins, secrets};

pub const ID: ServiceId = ServiceId("edge");
pub const HAPROXY_BACKEND_ACTIVE_SERVERS: MetricRef = MetricRef("haproxy_backend_active_servers");
pub const HAPROXY_FRONTEND_CURRENT_SESSIONS: MetricRef = MetricRef("haproxy_frontend_current_sessions");
pub const HAPROXY_FRONTEND_LIMIT_SESSIONS: MetricRef = MetricRef("haproxy_frontend_limit_sessions");
pub const HTTP: PortRef = PortRef { service: ID, name: "http" };
pub const HTTPS: PortRef = PortRef { service: ID, name: "https" };
pub const STATS: PortRef = PortRef { service: ID, name: "stats" };
pub const HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL: MetricRef =
    MetricRef("haproxy_frontend_http_responses_total");

const FOLDER: VolumeRef = VolumeRef { service: ID, name: "run" };

/// Where the image looks for its configuration.
const CONFIGURATION: &str = "/usr/local/etc/haproxy/haproxy.cfg";

/// HAProxy 3.2 with 8,000 connections through TLS takes 26 KiB for each that is idle, and 51 KiB for each that has sent half of
/// a request. The rest is for answers on their way.
const CONNECTION_KIB: u32 = 64;
/// The program with its configuration takes 30 MiB, and the counters of `max_addresses` 44 MiB.
const BASE_MIB: u32 = 96;

pub const POLICY: EdgePolicy = EdgePolicy {
    http: HTTP,
    https: HTTPS,
    certificate: secrets::EDGE_TLS_PEM,
    folder: FOLDER,
    path: "/api/",
    workflows: "/api/v1/workflows/",
    tasks: "/api/v1/tasks/",
    // What 32 addresses may hold at `max_connections_of_address`; less than half of the open files that most systems
    // allow a process.
    max_connections: 8192,
    check_every_ms: 200,
    check_failures: 3,
    check_successes: 2,
    head_limit_seconds: 10,
    tunnel_limit_seconds: 3600,
    answer_limit_seconds: 20,
    // Two years, what browsers ask for before they put a domain on their lists.
    strict_transport_seconds: 63_072_000,
    // As Node-RED has it; what the API takes is less.
    body_limit_bytes: 1 << 20,
    body_limit_seconds: 10,
    head_limit_bytes: 15 << 10,
    max_headers: 100,
    max_streams: 100,
    // Far more than a caller that polls, far less than one replica serves.
    max_requests_of_address: 5_000,
    // A few pools of connections behind one address.
    max_connections_of_address: 256,
    max_new_connections_of_address: 3_000,
    rate_seconds: 10,
    max_addresses: 100_000,
};

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "HAProxy: TLS, ACME, limits, routing, draining",
        group: None,
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::HAPROXY,
        ports: vec![
            Port {
                name: HTTP.name,
                number: 8080,
                protocol: Protocol::Http,
                exposure: Exposure::Public,
                purpose: "redirects to https and answers ACME challenges",
            },
            Port {
                name: HTTPS.name,
                number: 8443,
                protocol: Protocol::Https,
                exposure: Exposure::Public,
                purpose: "the API over TLS",
            },
            Port {
                name: STATS.name,
                number: 8404,
                protocol: Protocol::Http,
                exposure: Exposure::Internal,
                purpose: "/metrics and /healthz",
            },
        ],
        edges: vec![
            Edge {
                to: Destination::Port(node_red::FLOWS),
                need: Need::Run,
                why: "routes the API",
                scrape: None,
            },
            Edge {
                to: Destination::Port(node_red::READY),
                need: Need::Run,
                why: "asks each replica whether it takes requests",
                scrape: None,
            },
            Edge {
                to: Destination::Internet,
                need: Need::Run,
                why: "fetches certificates over ACME",
                scrape: None,
            },
        ],
        starts_after: vec![],
        variables: variables(),
        secrets: vec![SecretUse { secret: secrets::EDGE_TLS_PEM, variable: Some("EDGE_TLS_PEM_FILE") }],
        health: Some(Health::Http { port: STATS, path: "/healthz" }),
        stop: Stop { signal: "SIGUSR1", grace_seconds: 10 },
        resources: Resources {
            memory_mib: BASE_MIB + POLICY.max_connections * CONNECTION_KIB / 1024,
            cpu_millis: 1000,
            pids: 64,
        },
        volumes: vec![
            Volume { name: "acme", purpose: "the ACME account and its certificates", precious: true },
            Volume {
                name: FOLDER.name,
                purpose: "its sockets, and which replicas an operator has taken out",
                precious: false,
            },
        ],
        metrics: vec![
            super::foreign(
                HAPROXY_BACKEND_ACTIVE_SERVERS,
                MetricKind::Gauge,
                "Servers that take requests",
                &["proxy"],
            ),
            super::foreign(
                HAPROXY_FRONTEND_CURRENT_SESSIONS,
                MetricKind::Gauge,
                "Connections of clients",
                &["proxy"],
            ),
            super::foreign(
                HAPROXY_FRONTEND_LIMIT_SESSIONS,
                MetricKind::Gauge,
                "Connections that clients may have",
                &["proxy"],
            ),
            super::foreign(
                HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                MetricKind::Counter,
                "Responses by status class",
                &["proxy", "code"],
            ),
        ],
        alerts: super::edge_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "haproxy",
                // A master that does not leave the foreground supervises the workers, as in the official image.
                arguments: [Value::Text("-W"), Value::Text("-db")]
                    .into_iter()
                    .chain(arguments(Value::Text("haproxy.cfg")))
                    .collect(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: false,
            // The user haproxy of the official image.
            user: User { uid: 99, gid: 99 },
            sources: vec![],
            command: std::iter::once(Value::Text("haproxy"))
                .chain(arguments(Value::Text(CONFIGURATION)))
                .collect(),
            variables: vec![],
            // The home of the image's user, which alone it may write to.
            folders: vec![
                Folder { volume: "acme", path: "/var/lib/haproxy", storage: Storage::Volume },
                Folder { volume: FOLDER.name, path: "/run/haproxy", storage: Storage::Memory { mib: 1 } },
            ],
            scratch: vec![images::TEMPORARY],
            configuration: vec![ConfigurationFile {
                name: "haproxy",
                source: images::EDGE_CONFIGURATION,
                path: CONFIGURATION,
            }],
            probe: Probe::Wget,
            shared_memory_mib: None,
            // Two for each connection, and some for the checks, the listeners and the log.
            open_files: Some(POLICY.max_connections * 2 + 1024),
            debugger: None,
        })),
    }
}

/// It works in a folder of its own, so that the names of its sockets are short enough wherever that lies.
fn arguments(configuration: Value) -> [Value; 6] {
    let master = Value::Joined(vec![
        Value::Text("unix@"),
        Value::Text(EdgePolicy::MASTER_SOCKET),
        Value::Text(",mode,600"),
    ]);
    [Value::Text("-C"), Value::Folder(FOLDER), Value::Text("-S"), master, Value::Text("-f"), configuration]
}

/// Its configuration reads every place from a variable, so that one file serves every engine.
fn variables() -> Vec<Variable> {
    vec![
        Variable { name: "FLOWSHIP_ENVIRONMENT", value: Value::Fact(Fact::Environment) },
        Variable { name: "EDGE_HTTP_HOST", value: Value::BindAddress(HTTP) },
        Variable { name: "EDGE_HTTP_PORT", value: Value::BindPort(HTTP) },
        Variable { name: "EDGE_HTTPS_HOST", value: Value::BindAddress(HTTPS) },
        Variable { name: "EDGE_HTTPS_PORT", value: Value::BindPort(HTTPS) },
        Variable { name: "EDGE_STATS_HOST", value: Value::BindAddress(STATS) },
        Variable { name: "EDGE_STATS_PORT", value: Value::BindPort(STATS) },
    ]
}
