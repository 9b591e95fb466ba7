//! Alertmanager: groups alerts and sends them to people.

use vocabulary::model::{
    Command, Container, Destination, Edge, Exposure, Folder, Health, Identity, Lifetime, MetricKind,
    MetricRef, Need, Port, PortRef, Process, Protocol, Resources, SecretUse, Service, ServiceId, Shape, Stop,
    Storage, Value, Volume, VolumeRef,
};

use super::{images, pins, prometheus, secrets};

pub const ID: ServiceId = ServiceId("alertmanager");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };
pub const CONFIGURATION: VolumeRef = VolumeRef { service: ID, name: "configuration" };
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };
pub const ALERTMANAGER_CONFIG_LAST_RELOAD_SUCCESSFUL: MetricRef =
    MetricRef("alertmanager_config_last_reload_successful");
pub const ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL: MetricRef =
    MetricRef("alertmanager_notifications_failed_total");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Alertmanager: delivers alerts to PagerDuty, Slack and e-mail",
        group: Some(super::MONITORING),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::ALERTMANAGER,
        ports: vec![Port {
            name: "web",
            number: 9093,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "alerts and silences",
        }],
        edges: vec![Edge {
            to: Destination::Internet,
            need: Need::Run,
            why: "delivers to PagerDuty, Slack and e-mail",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![
            SecretUse { secret: secrets::PAGERDUTY_ROUTING_KEY, variable: None },
            SecretUse { secret: secrets::SLACK_WEBHOOK_URL, variable: None },
            SecretUse { secret: secrets::SMTP_PASSWORD, variable: None },
        ],
        health: Some(Health::Http { port: WEB, path: "/-/healthy" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 128, cpu_millis: 250, pids: 64 },
        volumes: vec![
            Volume { name: DATA.name, purpose: "silences and what was sent", precious: false },
            Volume { name: CONFIGURATION.name, purpose: "its configuration", precious: false },
        ],
        metrics: vec![
            super::foreign(
                ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL,
                MetricKind::Counter,
                "Notifications that could not be delivered",
                &["integration", "reason", "receiver_name"],
            ),
            super::foreign(
                ALERTMANAGER_CONFIG_LAST_RELOAD_SUCCESSFUL,
                MetricKind::Gauge,
                "1 when the newest configuration is in force",
                &[],
            ),
        ],
        alerts: super::alertmanager_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "alertmanager",
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            folders: vec![
                images::configuration(CONFIGURATION.name, "/etc/alertmanager"),
                Folder { volume: DATA.name, path: "/alertmanager", storage: Storage::Volume },
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
            Value::Text("/alertmanager.yml"),
        ]),
        Value::Joined(vec![Value::Text("--storage.path="), Value::Folder(DATA)]),
        // It has no peers.
        Value::Text("--cluster.listen-address="),
        prometheus::listens(WEB),
    ]
}
