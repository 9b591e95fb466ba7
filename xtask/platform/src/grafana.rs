//! Grafana: shows the dashboards. It reads what it is provisioned with, and asks nobody outside.
//!
//! 13.1 is the last version that has the data source Prometheus in itself. From 13.2 on, it is one of 13 plugins in the image,
//! each a process: the limits below are not for them. `PREINSTALL_DISABLED` also keeps Grafana from replacing these at its
//! start, which fails with a read-only root and loses them: <https://github.com/grafana/grafana/issues/132528>.

use vocabulary::model::{
    Container, Destination, Edge, Exposure, Folder, Health, Lifetime, Need, Port, PortRef, Protocol,
    Resources, SecretUse, Service, ServiceId, Shape, Stop, Storage, User, Value, Variable, Viewer, Volume,
    VolumeRef,
};

use super::{images, pins, prometheus, secrets};

pub const ID: ServiceId = ServiceId("grafana");
pub const WEB: PortRef = PortRef { service: ID, name: "web" };
pub const CONFIGURATION: VolumeRef = VolumeRef { service: ID, name: "configuration" };
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };

/// Nobody registers, and nothing leaves: no usage counters, no look for updates, no plugins, no pictures of users.
/// <https://grafana.com/docs/grafana/v13.1/setup-grafana/configure-grafana/>
const SETTINGS: [(&str, &str); 12] = [
    ("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false"),
    ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false"),
    ("GF_ANALYTICS_FEEDBACK_LINKS_ENABLED", "false"),
    ("GF_ANALYTICS_REPORTING_ENABLED", "false"),
    ("GF_NEWS_NEWS_FEED_ENABLED", "false"),
    ("GF_PLUGINS_PLUGIN_ADMIN_ENABLED", "false"),
    ("GF_PLUGINS_PREINSTALL_AUTO_UPDATE", "false"),
    ("GF_PLUGINS_PREINSTALL_DISABLED", "true"),
    ("GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", "true"),
    ("GF_SECURITY_DISABLE_GRAVATAR", "true"),
    ("GF_SNAPSHOTS_EXTERNAL_ENABLED", "false"),
    ("GF_USERS_ALLOW_SIGN_UP", "false"),
];

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Grafana: dashboards",
        group: Some(super::GRAFANA),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::GRAFANA,
        ports: vec![Port {
            name: "web",
            number: 3000,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "dashboards",
        }],
        edges: vec![Edge {
            to: Destination::Port(prometheus::WEB),
            need: Need::Start,
            why: "queries metrics",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![SecretUse {
            secret: secrets::GRAFANA_ADMIN_PASSWORD,
            variable: Some("GF_SECURITY_ADMIN_PASSWORD__FILE"),
        }],
        health: Some(Health::Http { port: WEB, path: "/api/health" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 512, cpu_millis: 500, pids: 128 },
        volumes: vec![
            Volume { name: DATA.name, purpose: "users and preferences", precious: false },
            Volume { name: CONFIGURATION.name, purpose: "its source and the dashboards", precious: false },
        ],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Runs(Box::new(Shape {
            variables: variables(),
            folders: vec![
                images::configuration(CONFIGURATION.name, "/etc/dashboards"),
                Folder { volume: DATA.name, path: "/var/lib/grafana", storage: Storage::Volume },
            ],
            scratch: vec![images::TEMPORARY],
            // The user of the image.
            ..images::plain(User { uid: 472, gid: 472 }, vec![])
        })),
    }
}

fn variables() -> Vec<Variable> {
    let variable = |name, value| Variable { name, value };
    let folder = |below| Value::Joined(vec![Value::Folder(CONFIGURATION), Value::Text(below)]);
    SETTINGS
        .into_iter()
        .map(|(name, text)| variable(name, Value::Text(text)))
        .chain([
            variable("GF_PATHS_PROVISIONING", folder("/provisioning")),
            variable("GF_SERVER_HTTP_ADDR", Value::BindAddress(WEB)),
            variable(Viewer::SOURCE, Value::Url { port: prometheus::WEB, path: "" }),
        ])
        .collect()
}
