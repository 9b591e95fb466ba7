//! Alertmanager: groups alerts and sends them to people.

use vocabulary::model::{
    Alert, Command, Container, Destination, Edge, Exposure, Health, Identity, Lifetime, Metric, MetricKind,
    MetricRef, Need, Port, PortRef, Process, Protocol, Resources, SecretUse, Service, ServiceId, Severity,
    Stop, Value, Volume, VolumeRef,
};

use super::{pins, prometheus, secrets};

pub const ID: ServiceId = ServiceId("alertmanager");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };
pub const CONFIGURATION: VolumeRef = VolumeRef { service: ID, name: "configuration" };
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };
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
        metrics: vec![Metric {
            name: ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL,
            kind: MetricKind::Counter,
            help: "Notifications that could not be delivered",
            labels: vec!["integration"],
            ours: false,
        }],
        alerts: vec![Alert {
            name: "NotificationsFail",
            severity: Severity::Warning,
            expression: "rate(alertmanager_notifications_failed_total[10m]) > 0",
            reads: vec![ALERTMANAGER_NOTIFICATIONS_FAILED_TOTAL],
            for_minutes: 5,
            summary: "Alerts are not delivered through one of the channels.",
            remedy: "Check the secret of the integration in the label, and the connection to it.",
        }],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "alertmanager",
                arguments: vec![
                    Value::Joined(vec![
                        Value::Text("--config.file="),
                        Value::Folder(CONFIGURATION),
                        Value::Text("/alertmanager.yml"),
                    ]),
                    Value::Joined(vec![Value::Text("--storage.path="), Value::Folder(DATA)]),
                    // It has no peers.
                    Value::Text("--cluster.listen-address="),
                    prometheus::listens(WEB),
                ],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Later,
    }
}
