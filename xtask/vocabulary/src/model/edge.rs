//! Who may talk to whom. Networks, policies, socket bindings and the reachability matrix derive from these.

use serde::{Deserialize, Serialize};

use super::PortRef;

/// A directed permission: the service that holds it may open connections to the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub to: Destination,
    pub need: Need,
    pub why: &'static str,
    /// What of the destination's metrics it reads over this edge.
    pub scrape: Option<Scrape>,
}

/// How metrics are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrape {
    pub path: &'static str,
    /// Seconds between two reads.
    pub every_seconds: u16,
}

/// The far end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[serde(bound(deserialize = "'de: 'static"))]
pub enum Destination {
    Port(PortRef),
    /// Addresses outside the platform, over TLS.
    Internet,
}

/// What the client does without the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// It cannot start: engines start the destination first and wait for its health.
    Start,
    /// It starts and runs degraded.
    Run,
}
