//! Which parts of a platform do what generators, engines and commands have to find, whatever these parts are called.

use serde::{Deserialize, Serialize};

use super::environment::{Contacts, Environment};
use super::{
    Architecture, EdgePolicy, Gate, GateCommand, Health, Platform, PortRef, SecretRef, Service, ServiceId,
    Shape, Value, VolumeRef,
};
use crate::problem::Problem;

/// The service that takes tasks and works on them: Node-RED, in one or more replicas behind the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Workers {
    /// Where the edge sends requests.
    pub flows: PortRef,
    /// Metrics, smoke checks, draining and reloading.
    pub operations: PortRef,
    /// Open only in development.
    pub editor: PortRef,
    /// The bearer token of the operations port.
    pub operations_token: SecretRef,
    /// The platform's own key of the API.
    pub api_key: SecretRef,
}

/// Where tasks, results and the queue are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    pub port: PortRef,
    pub name: &'static str,
    /// The role as which the workers connect, and its password.
    pub user: &'static str,
    pub password: SecretRef,
    /// The one-shot service that brings the schema to the release.
    pub migrations: ServiceId,
    /// A script of the tree that drops a database, with the variables that the migrations get.
    pub discard: &'static str,
    /// A script of the tree that brings the database in line with a secret's file while that changes, with the variables that
    /// the migrations get.
    pub credential: &'static str,
    /// None where the platform has no contract migrations.
    pub contract: Option<Contract>,
}

/// Migrations that remove what an older release may still need. They only run when an operator asks for them, and in
/// development.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The folder of the tree with them.
    pub folder: &'static str,
    /// The variable of [`Database::migrations`] that names the folder with the migrations to run.
    pub variable: &'static str,
}

/// Where secrets are kept in environments that do not keep them in files: a server with the API of HashiCorp Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretStore {
    pub api: PortRef,
    /// The mount of its key-value engine, version 2, which holds each secret under its name.
    pub mount: &'static str,
    /// The folder with its configuration and its certificate.
    pub configuration: VolumeRef,
    /// The folder with what it stores.
    pub data: VolumeRef,
}

impl SecretStore {
    /// The file that it reads, in the folder of its configuration.
    pub const CONFIGURATION: &str = "server.json";
    /// Its certificate with its key, one PEM file, beside that.
    pub const CERTIFICATE: &str = "server.pem";

    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.api.service
    }
}

/// The services that watch the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Monitoring {
    /// Prometheus: over its edges it scrapes metrics, and it evaluates the alert rules.
    pub scraper: PortRef,
    /// The folder with its configuration and its targets.
    pub scraper_configuration: VolumeRef,
    /// Alertmanager: tells people of the alerts.
    pub notifier: PortRef,
    /// The folder with its configuration.
    pub notifier_configuration: VolumeRef,
    /// The routing key of `PagerDuty`.
    pub paging_key: SecretRef,
    /// The address of Slack's incoming webhook.
    pub chat_webhook: SecretRef,
    /// The password at the mail server.
    pub mail_password: SecretRef,
    /// Grafana, where there is one: shows the dashboards.
    pub viewer: Option<Viewer>,
}

/// What shows dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Viewer {
    pub web: PortRef,
    /// The folder with its provisioning files and the dashboards.
    pub configuration: VolumeRef,
}

impl Viewer {
    /// The variable of its process with the address of the scraper.
    pub const SOURCE: &str = "METRICS_URL";
}

impl Monitoring {
    /// The secrets of the channels to people, with the setting by which an environment has the channel, where it has it.
    #[must_use]
    pub fn channels(&self, environment: &Environment) -> [(SecretRef, Option<&'static str>); 3] {
        let contacts = environment.contacts.as_ref();
        let has = |setting, is_set: fn(&Contacts) -> bool| contacts.is_some_and(is_set).then_some(setting);
        [
            (self.paging_key, has("contacts.pagerduty_service", |one| one.pagerduty_service.is_some())),
            (self.chat_webhook, has("contacts.slack_channel", |one| one.slack_channel.is_some())),
            (self.mail_password, has("contacts.mail_server", |one| one.mail_server.is_some())),
        ]
    }
}

/// Where log lines are kept: a collector reads what the services write, and sends it to a store with the API of VictoriaLogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct LogStore {
    pub api: PortRef,
    pub collector: ServiceId,
}

impl LogStore {
    /// What the collector reads: a generated file of the tree.
    pub const CONFIGURATION: &str = "ops/monitoring/otel-collector.yaml";
    /// Where the collector's program is in its container. It is ours and in nobody's image: the host has it.
    pub const PROGRAM: &str = "/usr/local/bin/log-collector";
}

/// A GitHub action that workflows may use: `uses` takes the commit, the version stands beside it as a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub name: &'static str,
    pub version: &'static str,
    pub commit: &'static str,
}

/// How releases are made, and whom operators believe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePolicy {
    /// The branch that holds what is released.
    pub branch: &'static str,
    /// The check that a commit must have passed: the job of the CI workflow that needs all others.
    pub required_check: &'static str,
    /// What operators' machines are. The bundle of a release is for the first and is packaged on such a machine; for each
    /// other there is an archive with the operator's program.
    pub architectures: Vec<Architecture>,
    /// The project's minisign public keys, the lines that begin with `RW`: `release verify` believes them and no other. Two while
    /// a new one takes over from an old one. Empty while the project has no key; then the operator says whom to believe.
    pub public_keys: Vec<&'static str>,
}

impl ReleasePolicy {
    /// Where `release package` puts a release, below the root.
    pub const ARTIFACTS: &str = "target/release-artifacts";
    /// Where `release operator` puts a program, below the root.
    pub const OPERATORS: &str = "target/release-operators";
}

impl Workers {
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.flows.service
    }
}

impl Platform {
    /// The service that plays a part.
    ///
    /// # Errors
    /// The platform has no such service.
    pub fn playing(&self, role: &str, id: ServiceId) -> Result<&Service, Problem> {
        self.service(id).ok_or_else(|| {
            Problem::new(role, format!("{id} does not exist"))
                .expected(format!("the id of a service that is the {role}"))
        })
    }

    /// # Errors
    /// As [`Platform::playing`].
    pub fn edge_service(&self) -> Result<&Service, Problem> {
        self.playing("edge", self.edge.service())
    }

    /// # Errors
    /// As [`Platform::playing`].
    pub fn worker_service(&self) -> Result<&Service, Problem> {
        self.playing("workers", self.workers.service())
    }

    /// # Errors
    /// As [`Platform::playing`].
    pub fn database_service(&self) -> Result<&Service, Problem> {
        self.playing("database", self.database.port.service)
    }

    /// The gate that runs `xtask` with these arguments; none where the platform has no such gate.
    #[must_use]
    pub fn gate_running(&self, arguments: &[&str]) -> Option<&Gate> {
        let runs =
            |command: &GateCommand| command.program == GateCommand::XTASK && command.arguments == arguments;
        self.gates.iter().find(|gate| gate.commands.iter().any(runs))
    }
}

impl EdgePolicy {
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.https.service
    }
}

impl Service {
    /// The port and the path on which it is asked for its health.
    ///
    /// # Errors
    /// It is not asked over HTTP.
    pub fn health_over_http(&self) -> Result<(PortRef, &'static str), Problem> {
        match self.health {
            Some(Health::Http { port, path }) => Ok((port, path)),
            _ => Err(Problem::new(
                format!("service {}", self.id),
                "it cannot be asked for its health over HTTP",
            )
            .expected("`health` to name a port and a path")),
        }
    }

    /// How it runs in a container.
    ///
    /// # Errors
    /// It does not yet.
    pub fn shape(&self) -> Result<&Shape, Problem> {
        self.container.shape().ok_or_else(|| {
            Problem::new(format!("service {}", self.id), "it does not run in containers yet")
                .expected("`container` to say how it does")
        })
    }

    /// The name of the variable that hands it a value.
    ///
    /// # Errors
    /// None does.
    pub fn variable(&self, value: &Value) -> Result<&'static str, Problem> {
        let variable = self.variables.iter().find(|variable| variable.value == *value);
        variable.map(|variable| variable.name).ok_or_else(|| {
            Problem::new(format!("service {}", self.id), format!("no variable hands it {value:?}"))
                .remedy("add the variable")
        })
    }

    /// The name of the variable with the path of a secret's file.
    ///
    /// # Errors
    /// None has it.
    pub fn secret_variable(&self, secret: SecretRef) -> Result<&'static str, Problem> {
        let used = self.secrets.iter().find(|used| used.secret == secret);
        used.and_then(|used| used.variable).ok_or_else(|| {
            Problem::new(
                format!("service {}", self.id),
                format!("no variable names the file of the secret {secret}"),
            )
            .remedy("add the secret with its variable")
        })
    }
}
