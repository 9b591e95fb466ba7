//! How a service runs as plain processes, without a container.

use serde::{Deserialize, Serialize};

use super::{PortRef, SecretRef, Value, Variable, VolumeRef};

/// A service on the process engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Process {
    /// Makes the data folder usable, once: run when `creates` does not exist in the folder.
    pub initialise: Option<Initialise>,
    /// Run in order. A long-running service has exactly one; a one-shot service may have several.
    pub commands: Vec<Command>,
    pub identity: Identity,
    /// What a change of its sources does while developing.
    pub on_change: Vec<OnChange>,
}

/// One program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Name in the catalogue of programs (`cargo xtask doctor` lists it).
    pub program: &'static str,
    pub arguments: Vec<Value>,
    /// Programs of the catalogue that it calls by name: the engine puts them on its PATH.
    pub calls: Vec<&'static str>,
    /// Added to the service's own variables.
    pub variables: Vec<Variable>,
}

/// How a data folder comes to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialise {
    pub volume: VolumeRef,
    /// A file that exists, relative to the folder, once this is done.
    pub creates: &'static str,
    pub command: Command,
}

/// As whom a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// As the user who started Flowship.
    Caller,
    /// Never as root: it refuses to run so. Where the caller is root, a user namespace hides that.
    NotRoot,
}

/// While developing: files that are watched, and what their change sets off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct OnChange {
    /// Files and folders of the repository.
    pub paths: Vec<&'static str>,
    pub reaction: Reaction,
}

/// What a change sets off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// Restart the service, gracefully.
    Restart,
    /// Judge the flows with the offline gate, then ask the running service to load them. The service finds the gate's
    /// command in the variable `gate`, a JSON list, and asks it about what comes in by another way, such as the editor.
    ReloadFlows { port: PortRef, path: &'static str, token: SecretRef, gate: &'static str },
    /// Run the one-shot service again.
    RunAgain,
}
