//! The host's resources as metrics.

use vocabulary::model::{
    Command, Container, Exposure, Fact, Health, Identity, Lifetime, MetricKind, MetricRef, Port, PortRef,
    Process, Protocol, Resources, Service, ServiceId, Stop, Value, command_metrics,
};

use super::{foreign, images, pins, prometheus};

pub const ID: ServiceId = ServiceId("node-exporter");
pub const METRICS: PortRef = PortRef { service: ID, name: "metrics" };
pub const NODE_FILESYSTEM_FILES: MetricRef = MetricRef("node_filesystem_files");
pub const NODE_FILESYSTEM_FILES_FREE: MetricRef = MetricRef("node_filesystem_files_free");
pub const NODE_FILESYSTEM_READONLY: MetricRef = MetricRef("node_filesystem_readonly");
pub const NODE_MEMORY_MEMAVAILABLE_BYTES: MetricRef = MetricRef("node_memory_MemAvailable_bytes");
pub const NODE_MEMORY_MEMTOTAL_BYTES: MetricRef = MetricRef("node_memory_MemTotal_bytes");
pub const NODE_VMSTAT_OOM_KILL: MetricRef = MetricRef("node_vmstat_oom_kill");
pub const NODE_CPU_SECONDS_TOTAL: MetricRef = MetricRef("node_cpu_seconds_total");
pub const NODE_TIMEX_SYNC_STATUS: MetricRef = MetricRef("node_timex_sync_status");
pub const NODE_TEXTFILE_SCRAPE_ERROR: MetricRef = MetricRef("node_textfile_scrape_error");
pub const NODE_FILESYSTEM_AVAIL_BYTES: MetricRef = MetricRef("node_filesystem_avail_bytes");
pub const NODE_FILESYSTEM_SIZE_BYTES: MetricRef = MetricRef("node_filesystem_size_bytes");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "node-exporter: metrics of the host",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::NODE_EXPORTER,
        ports: vec![Port {
            name: "metrics",
            number: 9100,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "/metrics",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: Some(Health::Http { port: METRICS, path: "/" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 64, cpu_millis: 250, pids: 32 },
        volumes: vec![],
        metrics: [
            command_metrics(),
            vec![
                foreign(
                    NODE_FILESYSTEM_AVAIL_BYTES,
                    MetricKind::Gauge,
                    "Bytes that users may still write",
                    &["device", "fstype", "mountpoint"],
                ),
                foreign(
                    NODE_FILESYSTEM_SIZE_BYTES,
                    MetricKind::Gauge,
                    "Size of the file system",
                    &["device", "fstype", "mountpoint"],
                ),
                foreign(
                    NODE_FILESYSTEM_FILES,
                    MetricKind::Gauge,
                    "Files that the file system can have",
                    &["device", "fstype", "mountpoint"],
                ),
                foreign(
                    NODE_FILESYSTEM_FILES_FREE,
                    MetricKind::Gauge,
                    "Files that it can still take",
                    &["device", "fstype", "mountpoint"],
                ),
                foreign(
                    NODE_FILESYSTEM_READONLY,
                    MetricKind::Gauge,
                    "1 when it cannot be written to",
                    &["device", "fstype", "mountpoint"],
                ),
                foreign(
                    NODE_MEMORY_MEMAVAILABLE_BYTES,
                    MetricKind::Gauge,
                    "Bytes that processes can still get",
                    &[],
                ),
                foreign(NODE_MEMORY_MEMTOTAL_BYTES, MetricKind::Gauge, "Size of the memory", &[]),
                foreign(
                    NODE_VMSTAT_OOM_KILL,
                    MetricKind::Counter,
                    "Processes that the kernel ended because memory ran out",
                    &[],
                ),
                foreign(
                    NODE_CPU_SECONDS_TOTAL,
                    MetricKind::Counter,
                    "Seconds that a processor spent, by mode",
                    &["cpu", "mode"],
                ),
                foreign(NODE_TIMEX_SYNC_STATUS, MetricKind::Gauge, "1 when something sets the clock", &[]),
                foreign(
                    NODE_TEXTFILE_SCRAPE_ERROR,
                    MetricKind::Gauge,
                    "1 when a file of metrics could not be read",
                    &[],
                ),
            ],
        ]
        .concat(),
        alerts: super::node_exporter_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "node_exporter",
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(images::plain(
            images::NOBODY,
            // Of the host, as its documentation says for containers.
            [
                arguments(),
                vec![Value::Joined(vec![Value::Text("--path.rootfs="), Value::Fact(Fact::HostRoot)])],
            ]
            .concat(),
        ))),
    }
}

fn arguments() -> Vec<Value> {
    vec![
        prometheus::listens(METRICS),
        Value::Joined(vec![Value::Text("--collector.textfile.directory="), Value::Fact(Fact::MetricsFolder)]),
    ]
}
