//! Services: the parts that a platform consists of.

use serde::{Deserialize, Serialize};

use super::{
    Alert, Container, Destination, Edge, Group, Health, Image, Metric, Port, Process, Resources, SecretUse,
    ServiceId, Variable,
};

/// One part of the platform, with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    pub purpose: &'static str,
    /// The optional part of the platform that it belongs to; none where it always runs.
    pub group: Option<Group>,
    pub lifetime: Lifetime,
    pub image: Image,
    pub ports: Vec<Port>,
    /// To whom it may talk.
    pub edges: Vec<Edge>,
    /// One-shot services that must have succeeded before it starts.
    pub starts_after: Vec<ServiceId>,
    pub variables: Vec<Variable>,
    pub secrets: Vec<SecretUse>,
    /// None only for a one-shot service, whose exit code tells.
    pub health: Option<Health>,
    pub stop: Stop,
    pub resources: Resources,
    pub volumes: Vec<Volume>,
    pub metrics: Vec<Metric>,
    pub alerts: Vec<Alert>,
    /// None where it runs only in containers.
    pub process: Option<Process>,
    pub container: Container,
}

/// How long a service lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Runs to its end before its dependents start.
    OneShot,
    /// Runs until stopped.
    LongRunning {
        /// How many, unless an environment says otherwise; a service with more than one scales.
        replicas: u32,
    },
    /// Stands in, in development only, for something outside the platform.
    StandIn,
}

/// How a service is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Such as `SIGTERM`.
    pub signal: &'static str,
    /// Seconds it is given before it is killed; the workers and the edge have these besides the drain, see
    /// [`super::Platform::stop_limit_seconds`].
    pub grace_seconds: u16,
}

/// A data folder that outlives its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: &'static str,
    pub purpose: &'static str,
    /// Whether losing it loses something that nothing else holds.
    pub precious: bool,
}

impl Service {
    /// Whether it may connect to places outside the platform.
    #[must_use]
    pub fn calls_out(&self) -> bool {
        self.edges.iter().any(|edge| edge.to == Destination::Internet)
    }

    /// Whether no engine runs it yet.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.container == Container::Later && self.process.is_none()
    }
}
