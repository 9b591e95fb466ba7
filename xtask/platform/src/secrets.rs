//! Every secret of the platform. Who reads one stands with the reader.

use vocabulary::model::{Secret, SecretKind, SecretRef, SecretSource};

pub const POSTGRES_SUPERUSER_PASSWORD: SecretRef = SecretRef("postgres-superuser-password");
pub const POSTGRES_OWNER_PASSWORD: SecretRef = SecretRef("postgres-owner-password");
pub const POSTGRES_APP_PASSWORD: SecretRef = SecretRef("postgres-app-password");
pub const POSTGRES_EXPORTER_PASSWORD: SecretRef = SecretRef("postgres-exporter-password");
pub const POSTGRES_BARMAN_PASSWORD: SecretRef = SecretRef("postgres-barman-password");
pub const LLM_API_KEY: SecretRef = SecretRef("llm-api-key");
pub const API_KEY: SecretRef = SecretRef("api-key");
pub const OPS_TOKEN: SecretRef = SecretRef("ops-token");
pub const EDGE_TLS_PEM: SecretRef = SecretRef("edge-tls-pem");
pub const GRAFANA_ADMIN_PASSWORD: SecretRef = SecretRef("grafana-admin-password");
pub const PAGERDUTY_ROUTING_KEY: SecretRef = SecretRef("pagerduty-routing-key");
pub const SLACK_WEBHOOK_URL: SecretRef = SecretRef("slack-webhook-url");
pub const SMTP_PASSWORD: SecretRef = SecretRef("smtp-password");

/// 24 random bytes are 192 bits.
const GENERATED: SecretSource = SecretSource::Generated { bytes: 24 };

pub fn secrets() -> Vec<Secret> {
    vec![
        Secret {
            name: POSTGRES_SUPERUSER_PASSWORD,
            purpose: "PostgreSQL role postgres: makes the database and its roles",
            kind: SecretKind::DatabasePassword { role: "postgres" },
            source: GENERATED,
            rotate_after_days: 90,
        },
        Secret {
            name: POSTGRES_OWNER_PASSWORD,
            purpose: "PostgreSQL role flowship_owner: owns the schemas, runs the migrations",
            kind: SecretKind::DatabasePassword { role: "flowship_owner" },
            source: GENERATED,
            rotate_after_days: 90,
        },
        Secret {
            name: POSTGRES_APP_PASSWORD,
            purpose: "PostgreSQL role flowship_app, or a login role of it: reads and writes tasks and the queue",
            kind: SecretKind::DatabaseLogin { role: super::postgres::APPLICATION_ROLE },
            source: GENERATED,
            rotate_after_days: 30,
        },
        Secret {
            name: POSTGRES_EXPORTER_PASSWORD,
            purpose: "PostgreSQL role flowship_exporter: reads statistics (pg_monitor)",
            kind: SecretKind::DatabasePassword { role: "flowship_exporter" },
            source: GENERATED,
            rotate_after_days: 90,
        },
        Secret {
            name: POSTGRES_BARMAN_PASSWORD,
            purpose: "PostgreSQL role flowship_barman: replicates for backups",
            kind: SecretKind::DatabasePassword { role: "flowship_barman" },
            source: GENERATED,
            rotate_after_days: 90,
        },
        Secret {
            name: LLM_API_KEY,
            purpose: "bearer key of the OpenAI-compatible endpoint",
            kind: SecretKind::ProviderKey,
            source: SecretSource::Provided { by: "the model's provider" },
            rotate_after_days: 90,
        },
        Secret {
            name: API_KEY,
            purpose: "the platform's own API key: stored hashed, used by the end-to-end smoke check",
            kind: SecretKind::BearerToken,
            source: GENERATED,
            rotate_after_days: 30,
        },
        Secret {
            name: OPS_TOKEN,
            purpose: "bearer token of the operations port: smoke, reload, drain",
            kind: SecretKind::BearerToken,
            source: GENERATED,
            rotate_after_days: 30,
        },
        Secret {
            name: EDGE_TLS_PEM,
            purpose: "certificate chain and private key of the edge, one PEM file",
            kind: SecretKind::CertificatePair,
            source: SecretSource::Provided { by: "the certificate authority" },
            rotate_after_days: 60,
        },
        Secret {
            name: GRAFANA_ADMIN_PASSWORD,
            purpose: "Grafana's administrator",
            kind: SecretKind::AccountPassword,
            source: GENERATED,
            rotate_after_days: 90,
        },
        Secret {
            name: PAGERDUTY_ROUTING_KEY,
            purpose: "delivers critical alerts",
            kind: SecretKind::ProviderKey,
            source: SecretSource::Provided { by: "PagerDuty" },
            rotate_after_days: 365,
        },
        Secret {
            name: SLACK_WEBHOOK_URL,
            purpose: "delivers warnings to Slack",
            kind: SecretKind::ProviderKey,
            source: SecretSource::Provided { by: "Slack" },
            rotate_after_days: 365,
        },
        Secret {
            name: SMTP_PASSWORD,
            purpose: "delivers warnings by e-mail",
            kind: SecretKind::ProviderKey,
            source: SecretSource::Provided { by: "the mail provider" },
            rotate_after_days: 365,
        },
    ]
}
