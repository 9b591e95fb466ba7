//! How a service runs in a container. What holds for all of them is in [`ContainerPolicy`].

use serde::{Deserialize, Serialize};

use super::environment::Tier;
use super::{Image, PortRef, SecretRef, Value, Variable, VolumeRef};

/// A service on the engines that run containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[serde(bound(deserialize = "'de: 'static"))]
pub enum Container {
    Runs(Box<Shape>),
    /// Not composed yet.
    Later,
}

/// What a container is given besides what every service has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Shape {
    /// Whether it runs in development, too; as a process it then does not either.
    pub in_development: bool,
    pub user: User,
    /// Files and folders of the repository that its image holds; none where somebody else made the image.
    pub sources: Vec<&'static str>,
    /// Handed to the entry point of an image that somebody else made; empty where the image is ours.
    pub command: Vec<Value>,
    /// Added to the service's own variables.
    pub variables: Vec<Variable>,
    /// Where each of its volumes lies.
    pub folders: Vec<Folder>,
    /// Folders that only this container needs, because everything else of it is read-only.
    pub scratch: Vec<Scratch>,
    /// Generated files of the repository that it reads.
    pub configuration: Vec<ConfigurationFile>,
    pub probe: Probe,
    /// Size of `/dev/shm`; none where the engine's default of 64 MiB will do.
    pub shared_memory_mib: Option<u32>,
    /// Limit of open files; none where the engine's default will do.
    pub open_files: Option<u32>,
    /// Where its debugger listens in development.
    pub debugger: Option<u16>,
}

/// As whom a container runs. Numbers, so that the image needs no name for them; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// A volume's place in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    pub volume: &'static str,
    pub path: &'static str,
    pub storage: Storage,
}

/// What a folder is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// A volume of the engine: outlives the container.
    Volume,
    /// Memory: ends with the container.
    Memory { mib: u32 },
}

/// A folder in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    pub path: &'static str,
    pub mib: u32,
}

/// A file of the repository in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationFile {
    pub name: &'static str,
    /// Below the root of the repository.
    pub source: &'static str,
    pub path: &'static str,
}

/// What in the image can ask an address over HTTP or TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// Our own script, which needs bash.
    Script,
    /// `wget`, of BusyBox or GNU.
    Wget,
    /// Nothing: its health has to be a command.
    Nothing,
}

/// What holds for every container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPolicy {
    /// Where the repository's files lie in images of ours.
    pub root: &'static str,
    /// Where secrets are mounted (the convention of Docker and Compose).
    pub secrets: &'static str,
    /// The script of [`Probe::Script`], a file of the repository.
    pub probe: &'static str,
    /// What our programs run on: Node.js.
    pub node: Image,
    /// The Dockerfiles of our images, as paths below the root.
    pub production: &'static str,
    pub development: &'static str,
    /// What images of ours may weigh and hold.
    pub limits: Vec<ImageLimits>,
    /// The same for an image that has no limits of its own.
    pub strictest: ImageLimits,
    /// How often a service that failed is started again, in development, before it is left for a person to look at. In
    /// production there is no such number: it would keep the service down after a restart of the engine, too.
    pub restart_attempts: u16,
    pub check: CheckTimes,
    /// The bound of what the engine keeps of each container's output.
    pub log_file_mib: u16,
    pub log_files: u16,
    /// The first two numbers of every address in the networks, where the site names no others.
    pub network_prefix: &'static str,
}

/// The limits of one image that we build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLimits {
    /// In its Dockerfile.
    pub target: &'static str,
    /// MiB of the files that a container sees, at most.
    pub mebibytes: u64,
    /// Of the programs that serve an intruder, such as shells, those that it needs to run.
    pub tools: Vec<&'static str>,
}

/// Times of health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTimes {
    pub every_seconds: u16,
    pub limit_seconds: u16,
    /// Failures count only after this.
    pub start_seconds: u16,
    /// In a row.
    pub failures: u16,
}

/// How a replica of the workers leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// From "not ready" to the end of listening, in milliseconds: the edge has to notice in between.
    pub delay_ms: u32,
    /// What is in flight gets this long after that, in seconds. The edge waits as long for a byte from a client or a
    /// replica: whatever it still waits for, a drain waits for too.
    pub limit_seconds: u16,
    /// The same in development, where a replica has no clients to lose.
    pub development_limit_seconds: u16,
}

impl Draining {
    #[must_use]
    pub fn limit_seconds_in(&self, tier: Tier) -> u16 {
        if tier == Tier::Development { self.development_limit_seconds } else { self.limit_seconds }
    }
}

/// How the edge serves the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgePolicy {
    /// Redirects to `https`.
    pub http: PortRef,
    /// Sends requests to the workers.
    pub https: PortRef,
    /// Its certificate with the chain and the private key, as PEM.
    pub certificate: SecretRef,
    /// The folder that it works in: its sockets are there, and the states that its servers had.
    pub folder: VolumeRef,
    /// Only what begins with this is sent on.
    pub path: &'static str,
    /// Of a request to `WORKFLOWS/ID/...`, the edge logs the workflow.
    pub workflows: &'static str,
    /// Of a request to `TASKS/ID`, the edge logs the task.
    pub tasks: &'static str,
    /// At once; each takes two open files.
    pub max_connections: u32,
    /// Milliseconds between two health checks of a replica.
    pub check_every_ms: u32,
    /// Failures in a row until a replica gets nothing more.
    pub check_failures: u16,
    pub check_successes: u16,
    /// Time for a client to send the head of its request, in seconds.
    pub head_limit_seconds: u16,
    /// Time without a byte where both sides talk as they like, as over a WebSocket, in seconds.
    pub tunnel_limit_seconds: u32,
    /// Time for the flows to begin an answer, in seconds, where a route has no limit of its own; then the client gets
    /// 504.
    pub answer_limit_seconds: u16,
    /// How long browsers are told to insist on TLS, in seconds.
    pub strict_transport_seconds: u32,
    /// A request with a larger body is refused, in bytes; the replicas have limits of their own below it.
    pub body_limit_bytes: u32,
    /// Time for a body, or for as much of it as the edge holds back (`head_limit_bytes`), to come, in seconds.
    pub body_limit_seconds: u16,
    /// The first line and all headers of a request, in bytes.
    pub head_limit_bytes: u32,
    pub max_headers: u16,
    /// Requests that one connection may have open at once.
    pub max_streams: u16,
    /// Requests of one address in `rate_seconds`; more are refused. Here and below, an address is one of IPv4, or a network
    /// of 64 bits of IPv6.
    pub max_requests_of_address: u32,
    /// Connections that one address may have at once.
    pub max_connections_of_address: u32,
    /// Connections that one address may open in `rate_seconds`, since each costs a handshake.
    pub max_new_connections_of_address: u32,
    pub rate_seconds: u16,
    /// Addresses that are counted at once: it bounds the memory for them.
    pub max_addresses: u32,
}

/// Names in its configuration and in its folder.
impl EdgePolicy {
    /// The backend of the workers.
    pub const BACKEND: &str = "replicas";
    /// The socket through which the servers are asked for and told.
    pub const RUNTIME_SOCKET: &str = "runtime.sock";
    /// The same of the process that starts the one that serves.
    pub const MASTER_SOCKET: &str = "master.sock";
    /// The states of the servers as they were saved last; the edge takes them over when it starts.
    pub const SERVER_STATES: &str = "servers.state";
    /// Such a file that says nothing of any server.
    pub const NO_SERVER_STATES: &str = "1\n";
    /// The key of its account with an ACME authority.
    pub const ACME_ACCOUNT: &str = "acme-account.key";
    /// What that authority's own server is trusted by, where a container could not see the site's file.
    pub const ACME_TRUSTED: &str = "acme-trusted.pem";
}

impl Container {
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        match self {
            Container::Runs(shape) => Some(shape),
            Container::Later => None,
        }
    }
}
