//! The platform as one value.

use serde::{Deserialize, Serialize};

use super::{
    Action, ContainerPolicy, Dashboard, Database, Destination, Draining, Edge, EdgePolicy, Gate, Label,
    LlmEndpoint, LogStore, Metric, MetricRef, Monitoring, Operation, Port, PortRef, QueuePolicy, Recording,
    ReleasePolicy, Review, Role, Scrape, Secret, SecretRef, SecretStore, Service, ServiceId, SmokeSuite,
    Workers,
};

/// Everything that is shipped, and how it is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    pub name: &'static str,
    pub services: Vec<Service>,
    /// Metrics that are computed from others.
    pub recordings: Vec<Recording>,
    /// What people look at.
    pub dashboards: Vec<Dashboard>,
    pub secrets: Vec<Secret>,
    pub labels: Vec<Label>,
    pub workers: Workers,
    pub database: Database,
    /// The MCP server whose tools workflows call; none where they call no tools.
    pub tools: Option<PortRef>,
    /// None where secrets are always files.
    pub secret_store: Option<SecretStore>,
    /// None where log lines are only in files.
    pub log_store: Option<LogStore>,
    /// None where nothing watches it.
    pub monitoring: Option<Monitoring>,
    pub llm: LlmEndpoint,
    pub queue: QueuePolicy,
    pub containers: ContainerPolicy,
    pub draining: Draining,
    pub edge: EdgePolicy,
    /// What the edge lets through to each; a path that is none of them has the limits of all.
    pub operations: Vec<Operation>,
    pub smoke: SmokeSuite,
    pub gates: Vec<Gate>,
    pub review: Review,
    pub release: ReleasePolicy,
    /// What people may do, by role.
    pub access: Vec<Role>,
    /// By name, so that each is pinned once.
    pub actions: Vec<Action>,
}

impl Platform {
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }

    #[must_use]
    pub fn port(&self, port: PortRef) -> Option<&Port> {
        self.service(port.service)?.ports.iter().find(|candidate| candidate.name == port.name)
    }

    #[must_use]
    pub fn secret(&self, name: SecretRef) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }

    #[must_use]
    pub fn metric(&self, name: MetricRef) -> Option<&Metric> {
        self.metrics().map(|(_, metric)| metric).find(|metric| metric.name == name)
    }

    /// All ports with the services that listen on them.
    pub fn ports(&self) -> impl Iterator<Item = (PortRef, &Port)> {
        self.services.iter().flat_map(|service| {
            service.ports.iter().map(|port| (PortRef { service: service.id, name: port.name }, port))
        })
    }

    /// How the metrics behind a port are read; none where nobody reads them.
    pub fn scrape(&self, port: PortRef) -> Option<Scrape> {
        let over = |edge: &&Edge| edge.to == Destination::Port(port);
        self.edges().map(|(_, edge)| edge).filter(over).find_map(|edge| edge.scrape)
    }

    /// All edges with the services that hold them.
    pub fn edges(&self) -> impl Iterator<Item = (ServiceId, &Edge)> {
        self.services.iter().flat_map(|service| service.edges.iter().map(move |edge| (service.id, edge)))
    }

    /// All metrics with the services that export them.
    pub fn metrics(&self) -> impl Iterator<Item = (ServiceId, &Metric)> {
        self.services
            .iter()
            .flat_map(|service| service.metrics.iter().map(move |metric| (service.id, metric)))
    }

    /// The services that read a secret.
    pub fn readers(&self, secret: SecretRef) -> impl Iterator<Item = ServiceId> {
        self.services
            .iter()
            .filter(move |service| service.secrets.iter().any(|read| read.secret == secret))
            .map(|service| service.id)
    }
}
