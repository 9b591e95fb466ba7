//! This platform, spelled out in the model's types: what an adopter edits. One file per service.

mod access;
mod actions;
mod alertmanager;
mod alertmanager_alerts;
mod barman;
mod dashboards;
mod edge;
mod edge_alerts;
mod gates;
mod grafana;
mod images;
mod labels;
mod llm;
mod mcp_tools;
mod migrate;
mod node_exporter;
mod node_exporter_alerts;
mod node_red;
mod node_red_alerts;
mod node_red_metrics;
mod objectives;
mod openbao;
mod operations;
mod otel_collector;
mod pins;
mod postgres;
mod postgres_exporter;
mod postgres_exporter_alerts;
mod prometheus;
mod prometheus_alerts;
mod queue;
mod recordings;
mod release;
mod review;
mod rule_tests;
mod secrets;
mod smoke;
mod victoria_logs;
mod victoria_logs_alerts;

use vocabulary::model::{
    Check, Database, Fact, Group, LogStore, Metric, MetricKind, MetricRef, Monitoring, Platform, ServiceId,
    Value, Variable, Viewer,
};

/// Metrics, logs and alerts: runs where an environment asks for it.
const MONITORING: Group = Group("monitoring");
/// Apart from the others: its image is large, and nothing else depends on it.
const GRAFANA: Group = Group("grafana");

/// The platform that is shipped.
pub fn platform() -> Platform {
    Platform {
        name: "flowship",
        services: vec![
            edge::service(),
            node_red::service(),
            postgres::service(),
            migrate::service(),
            mcp_tools::service(),
            llm::service(),
            prometheus::service(),
            alertmanager::service(),
            grafana::service(),
            node_exporter::service(),
            postgres_exporter::service(),
            victoria_logs::service(),
            otel_collector::service(),
            openbao::service(),
            barman::service(),
        ],
        recordings: recordings::recordings(),
        dashboards: dashboards::dashboards(),
        secrets: secrets::secrets(),
        labels: labels::labels(),
        workers: node_red::WORKERS,
        database: Database {
            port: postgres::SQL,
            name: postgres::DATABASE,
            user: postgres::APPLICATION_ROLE,
            password: secrets::POSTGRES_APP_PASSWORD,
            migrations: migrate::ID,
            discard: "ops/scripts/discard-database.sh",
            credential: "ops/scripts/database-credential.sh",
            contract: Some(migrate::CONTRACT),
        },
        tools: Some(mcp_tools::MCP),
        secret_store: Some(openbao::STORE),
        log_store: Some(LogStore { api: victoria_logs::HTTP, collector: otel_collector::ID }),
        monitoring: Some(Monitoring {
            scraper: prometheus::WEB,
            scraper_configuration: prometheus::CONFIGURATION,
            notifier: alertmanager::WEB,
            notifier_configuration: alertmanager::CONFIGURATION,
            paging_key: secrets::PAGERDUTY_ROUTING_KEY,
            chat_webhook: secrets::SLACK_WEBHOOK_URL,
            mail_password: secrets::SMTP_PASSWORD,
            viewer: Some(Viewer { web: grafana::WEB, configuration: grafana::CONFIGURATION }),
        }),
        llm: llm::endpoint(),
        queue: queue::queue(),
        containers: images::policy(),
        draining: node_red::DRAINING,
        edge: edge::POLICY,
        operations: operations::operations(),
        smoke: smoke::smoke(),
        gates: gates::gates(),
        review: review::review(),
        release: release::policy(),
        access: access::roles(),
        actions: actions::actions(),
    }
}

/// Who answers for the rules about the platform itself.
const OWNER: &str = "platform";
const STATUS: Check = Check { command: "flowship status ENV", look_for: "a service that is not healthy" };
const LOGS: Check = Check { command: "flowship logs ENV", look_for: "errors since the alert began" };

/// A metric that a program exports by itself.
fn foreign(name: MetricRef, kind: MetricKind, help: &'static str, labels: &[&'static str]) -> Metric {
    Metric { name, kind, help, labels: labels.to_vec(), ours: false }
}

/// What every program of ours is told of itself.
fn component(id: ServiceId) -> Vec<Variable> {
    vec![
        Variable { name: "FLOWSHIP_ENVIRONMENT", value: Value::Fact(Fact::Environment) },
        Variable { name: "FLOWSHIP_TIER", value: Value::Fact(Fact::Tier) },
        Variable { name: "FLOWSHIP_COMPONENT", value: Value::Text(id.0) },
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_platform_is_valid() {
        let violations = super::platform().validate();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    #[test]
    fn the_serialised_platform_holds_everything() {
        let data: &'static _ = Box::leak(Box::new(serde_json::to_value(super::platform()).unwrap()));
        let read = <vocabulary::model::Platform as serde::Deserialize>::deserialize(data).unwrap();
        assert_eq!(read, super::platform());
    }
}
