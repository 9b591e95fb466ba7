//! Prometheus: reads every metric, judges the alert rules.

use vocabulary::model::{
    Command, Container, Destination, Edge, Exposure, Folder, Health, Identity, Lifetime, MetricKind,
    MetricRef, Need, Port, PortRef, Process, Protocol, Resources, Scrape, Service, ServiceId, Shape, Stop,
    Storage, Value, Volume, VolumeRef,
};

use super::{
    alertmanager, edge, grafana, images, node_exporter, node_red, openbao, otel_collector, pins,
    postgres_exporter, victoria_logs,
};

pub const ID: ServiceId = ServiceId("prometheus");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };
pub const CONFIGURATION: VolumeRef = VolumeRef { service: ID, name: "configuration" };
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };
pub const PROCESS_START_TIME_SECONDS: MetricRef = MetricRef("process_start_time_seconds");
pub const PROMETHEUS_CONFIG_LAST_RELOAD_SUCCESSFUL: MetricRef =
    MetricRef("prometheus_config_last_reload_successful");
pub const PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL: MetricRef =
    MetricRef("prometheus_rule_evaluation_failures_total");
pub const PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS: MetricRef =
    MetricRef("prometheus_target_scrape_pool_targets");
pub const PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS_DISCOVERED: MetricRef =
    MetricRef("prometheus_notifications_alertmanagers_discovered");
pub const PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL: MetricRef =
    MetricRef("prometheus_notifications_dropped_total");
pub const PROMETHEUS_TSDB_COMPACTIONS_FAILED_TOTAL: MetricRef =
    MetricRef("prometheus_tsdb_compactions_failed_total");
pub const UP: MetricRef = MetricRef("up");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Prometheus: metrics and alert rules",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::PROMETHEUS,
        ports: vec![Port {
            name: "web",
            number: 9090,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "queries and the status pages",
        }],
        edges: vec![
            scrapes(node_red::OPS),
            scrapes(edge::STATS),
            scrapes(node_exporter::METRICS),
            scrapes(postgres_exporter::METRICS),
            Edge { why: "scrapes, and delivers alerts", ..scrapes(alertmanager::WEB) },
            scrapes(grafana::WEB),
            scrapes(otel_collector::METRICS),
            scrapes(victoria_logs::HTTP),
            Edge {
                scrape: Some(Scrape { path: "/v1/sys/metrics?format=prometheus", every_seconds: 30 }),
                ..scrapes(openbao::API)
            },
        ],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: WEB, path: "/-/healthy" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 1024, cpu_millis: 1000, pids: 128 },
        volumes: vec![
            Volume { name: DATA.name, purpose: "the time series", precious: false },
            Volume {
                name: CONFIGURATION.name,
                purpose: "its configuration, and a file for each target",
                precious: false,
            },
        ],
        metrics: vec![
            super::foreign(UP, MetricKind::Gauge, "1 when the last scrape succeeded", &[]),
            super::foreign(
                PROCESS_START_TIME_SECONDS,
                MetricKind::Gauge,
                "When a process started, in seconds since 1970; most services export it",
                &[],
            ),
            super::foreign(
                PROMETHEUS_CONFIG_LAST_RELOAD_SUCCESSFUL,
                MetricKind::Gauge,
                "1 when the newest configuration is in force",
                &[],
            ),
            super::foreign(
                PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL,
                MetricKind::Counter,
                "Evaluations of rules that failed",
                &["rule_group"],
            ),
            super::foreign(
                PROMETHEUS_TARGET_SCRAPE_POOL_TARGETS,
                MetricKind::Gauge,
                "Targets of a job in the configuration",
                &["scrape_job"],
            ),
            super::foreign(
                PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS_DISCOVERED,
                MetricKind::Gauge,
                "Alertmanagers that are known",
                &[],
            ),
            super::foreign(
                PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL,
                MetricKind::Counter,
                "Alerts that were not handed over",
                &[],
            ),
            super::foreign(
                PROMETHEUS_TSDB_COMPACTIONS_FAILED_TOTAL,
                MetricKind::Counter,
                "Compactions that failed",
                &[],
            ),
        ],
        alerts: super::prometheus_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "prometheus",
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            folders: vec![
                images::configuration(CONFIGURATION.name, "/etc/prometheus"),
                Folder { volume: DATA.name, path: "/prometheus", storage: Storage::Volume },
            ],
            ..images::plain(images::NOBODY, arguments())
        })),
    }
}

fn arguments() -> Vec<Value> {
    vec![
        Value::Joined(vec![
            Value::Text("--config.file="),
            Value::Folder(CONFIGURATION),
            Value::Text("/prometheus.yml"),
        ]),
        // Rules and scrape configuration take effect without a restart.
        Value::Text("--config.auto-reload"),
        Value::Text("--config.auto-reload-interval=5s"),
        // Alertmanager takes an alert for ended four times as long after Prometheus last sent it. So it stops to beat
        // the dead man's switch 40 s after the end of Prometheus, not four minutes.
        Value::Text("--rules.alert.resend-delay=10s"),
        Value::Joined(vec![Value::Text("--storage.tsdb.path="), Value::Folder(DATA)]),
        listens(WEB),
    ]
}

/// How programs of Prometheus' family are told where to listen.
pub fn listens(port: PortRef) -> Value {
    Value::Joined(vec![
        Value::Text("--web.listen-address="),
        Value::BindAddress(port),
        Value::Text(":"),
        Value::BindPort(port),
    ])
}

fn scrapes(port: PortRef) -> Edge {
    Edge {
        to: Destination::Port(port),
        need: Need::Run,
        why: "scrapes",
        scrape: Some(Scrape { path: "/metrics", every_seconds: 15 }),
    }
}
