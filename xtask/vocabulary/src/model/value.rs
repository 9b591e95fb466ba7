//! Values that are known only when an engine places the platform: addresses, paths, facts of the environment.

use serde::{Deserialize, Serialize};

use super::{PortRef, SecretRef, VolumeRef};

/// An environment variable of a service. Secrets are not among them: see [`super::SecretUse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: &'static str,
    pub value: Value,
}

/// A text that an engine resolves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Text(&'static str),
    Whole(u32),
    /// The address on which a service's own port is bound.
    BindAddress(PortRef),
    /// The number on which a service's own port is bound.
    BindPort(PortRef),
    /// The host under which a client finds a port.
    Host(PortRef),
    /// The number under which a client finds a port.
    Number(PortRef),
    /// `scheme://host:number/path` as a client sees it.
    Url {
        port: PortRef,
        path: &'static str,
    },
    /// Absolute path of a data folder.
    Folder(VolumeRef),
    /// Absolute path of a secret's file.
    SecretFile(SecretRef),
    /// Absolute path of a file of the repository, where it lies inside the service.
    Tree(&'static str),
    Fact(Fact),
    /// All parts, one after the other.
    Joined(Vec<Value>),
}

/// What the environment, not the platform, decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The environment's name.
    Environment,
    /// The environment's tier, where it is development; left out elsewhere: programs then take the strictest.
    Tier,
    /// The name of this replica.
    Replica,
    /// The release that runs, where one was deployed; left out elsewhere.
    Release,
    /// Absolute path of a file that holds the replica back while it exists, where a release was deployed; left out elsewhere.
    HoldFile,
    /// Absolute path of the folder with the metrics of what has ended, such as deploys, as text files; left out where the engine
    /// has none.
    MetricsFolder,
    /// The machine's own `/`, as the service finds it: it reads the state of the whole machine.
    HostRoot,
    /// Base URL of the OpenAI-compatible endpoint, ending in `/v1`.
    LlmBaseUrl,
    LlmModel,
    /// For a million tokens of prompts; left out or empty where the environment names no price.
    LlmPromptPrice,
    /// For a million tokens of answers; left out or empty where the environment names no price.
    LlmCompletionPrice,
    /// Absolute path of the folder with the log files of all services.
    LogFolder,
    /// How long log lines are kept: `7d`.
    LogsKept,
    /// Milliseconds for which a replica that leaves still listens: [`super::Draining::delay_ms`] behind an edge, 0 where there
    /// is none to notice.
    DrainDelay,
    /// Milliseconds that a replica that leaves has after that for what is in flight: [`super::Draining::limit_seconds_in`].
    DrainLimit,
}

impl Value {
    /// Every value in it, itself included.
    pub fn walk(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match self {
            Value::Joined(parts) => Box::new(std::iter::once(self).chain(parts.iter().flat_map(Value::walk))),
            _ => Box::new(std::iter::once(self)),
        }
    }
}
