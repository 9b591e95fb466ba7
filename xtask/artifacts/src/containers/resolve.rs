//! Values of the model as containers see them. What the site decides becomes a reference to one of its variables.

use vocabulary::formats::compose::Text;
use vocabulary::model::environment::Tier;
use vocabulary::model::topology::{Binding, Network, Scope, Topology, Unit};
use vocabulary::model::{ContainerPolicy, Fact, Platform, PortRef, SecretRef, Value};

use super::site;

/// Where the files of replicas that are held lie, where releases are rolled out.
pub const HELD: &str = "/run/held";
/// The folder with what the containers have written, as whoever follows them keeps it.
pub const LOGS: &str = "/run/logs";
/// The folder with the metrics of what has ended.
pub const METRICS: &str = "/run/metrics";
/// The file system of the host.
pub const HOST: &str = "/host";

/// None where it depends on a port or a service that this scope does not have.
pub fn resolve(topology: &Topology<'_>, unit: &Unit<'_>, value: &Value) -> Option<Text> {
    let platform = topology.platform;
    Some(match value {
        Value::Text(text) => Text::literal(*text),
        Value::Whole(number) => Text::literal(number.to_string()),
        Value::BindAddress(port) => bind_address(topology, unit, *port)?,
        Value::BindPort(port) => {
            let port = platform.port(*port).filter(|port| topology.is_open(port))?;
            Text::literal(port.number.to_string())
        }
        Value::Host(port) => Text::literal(server(topology, *port)?.name()),
        Value::Number(port) => {
            server(topology, *port)?;
            Text::literal(platform.port(*port)?.number.to_string())
        }
        Value::Url { port, path } => url(topology, *port, path)?,
        Value::Folder(volume) => {
            let folder = unit.shape.folders.iter().find(|folder| folder.volume == volume.name)?;
            Text::literal(folder.path)
        }
        Value::SecretFile(secret) => Text::literal(secret_file(&platform.containers, *secret)),
        Value::Tree(path) => Text::literal(tree(&platform.containers, path)),
        Value::Fact(fact) => self::fact(topology, unit, *fact)?,
        Value::Joined(parts) => {
            Text::concat(parts.iter().map(|part| resolve(topology, unit, part)).collect::<Option<Vec<_>>>()?)
        }
    })
}

/// A file of the repository inside an image of ours.
pub fn tree(policy: &ContainerPolicy, path: &str) -> String {
    format!("{}/{path}", policy.root)
}

/// Where a secret is mounted.
pub fn secret_file(policy: &ContainerPolicy, secret: SecretRef) -> String {
    format!("{}/{secret}", policy.secrets)
}

/// A unit's address in a network.
pub fn address(topology: &Topology<'_>, unit: &Unit<'_>, network: &Network) -> Option<Text> {
    let tail = topology.address(&unit.name(), network)?;
    Some(site::network_prefix(topology.platform).then(format!(".{tail}")))
}

pub fn subnet(platform: &Platform, network: &Network) -> Text {
    site::network_prefix(platform).then(format!(".{}", Topology::subnet(network)))
}

fn bind_address(topology: &Topology<'_>, unit: &Unit<'_>, port: PortRef) -> Option<Text> {
    let port = topology.platform.port(port).filter(|port| topology.is_open(port))?;
    match topology.binding(unit, port) {
        Binding::Loopback => Some(Text::literal("127.0.0.1")),
        Binding::Everywhere => Some(Text::literal("0.0.0.0")),
        Binding::Network(name) => address(topology, unit, topology.network(&name)?),
    }
}

fn server<'a>(topology: &'a Topology<'_>, port: PortRef) -> Option<&'a Unit<'a>> {
    topology.units.iter().find(|unit| unit.service.id == port.service)
}

fn url(topology: &Topology<'_>, port: PortRef, path: &str) -> Option<Text> {
    let server = server(topology, port)?;
    let port = topology.platform.port(port)?;
    Some(Text::literal(format!("{}://{}:{}{path}", port.protocol.scheme(), server.name(), port.number)))
}

fn fact(topology: &Topology<'_>, unit: &Unit<'_>, fact: Fact) -> Option<Text> {
    let llm = &topology.platform.llm;
    let in_development = topology.scope == Scope::Development;
    Some(match fact {
        Fact::Environment => site::environment(topology.scope),
        Fact::Tier if !in_development => return None,
        Fact::Tier => Text::literal(Tier::Development.name()),
        Fact::Replica => Text::literal(unit.replica_name()),
        Fact::Release | Fact::HoldFile if !topology.deployed => return None,
        Fact::Release => site::RELEASE.required(),
        Fact::MetricsFolder => Text::literal(METRICS),
        Fact::HostRoot => Text::literal(HOST),
        Fact::HoldFile => Text::literal(format!("{HELD}/{}", unit.name())),
        Fact::LlmBaseUrl if in_development => site::LLM_BASE_URL.or(url(topology, llm.stand_in, llm.path)?),
        Fact::LlmBaseUrl => site::LLM_BASE_URL.required(),
        Fact::LlmModel if in_development => site::LLM_MODEL.or(Text::literal(llm.model)),
        Fact::LlmModel => site::LLM_MODEL.required(),
        Fact::LlmPromptPrice => Text::or(site::LLM_PROMPT_PRICE, ""),
        Fact::LlmCompletionPrice => Text::or(site::LLM_COMPLETION_PRICE, ""),
        Fact::LogFolder => Text::literal(LOGS),
        Fact::LogsKept => site::LOGS_KEPT.required(),
        Fact::DrainLimit => {
            let seconds = topology.platform.draining.limit_seconds_in(topology.scope.tier());
            Text::literal((u32::from(seconds) * 1000).to_string())
        }
        Fact::DrainDelay => {
            let units = topology.units.iter().map(|unit| &unit.unit);
            Text::literal(topology.platform.drain_delay_ms(units).to_string())
        }
    })
}
