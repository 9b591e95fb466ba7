//! How a container asks its own service for its health.

use vocabulary::formats::compose::Text;
use vocabulary::model::topology::{Topology, Unit};
use vocabulary::model::{ContainerPolicy, Health, Probe, Protocol, Service, Value};
use vocabulary::problem::Problem;

use super::resolve::{resolve, tree};

/// The command, for the files of an engine; none for a service whose exit code tells.
///
/// # Errors
/// No variable says where the service listens.
pub fn command(topology: &Topology<'_>, unit: &Unit<'_>) -> Result<Option<Vec<Text>>, Problem> {
    let policy = &topology.platform.containers;
    Ok(match (&unit.service.health, unit.shape.probe) {
        (Some(Health::Http { .. }), Probe::Script) => {
            script(policy, unit.service)?.map(|words| words.into_iter().map(Text::literal).collect())
        }
        (Some(Health::Http { port, path }), Probe::Wget) => {
            let host = resolve(topology, unit, &Value::BindAddress(*port));
            let number = resolve(topology, unit, &Value::BindPort(*port));
            let protocol = topology.platform.port(*port).map(|port| port.protocol);
            // It asks itself: there is nobody else to trust.
            let trusts = (protocol == Some(Protocol::Https)).then(|| "--no-check-certificate".into());
            let scheme = protocol.map_or("http", Protocol::scheme);
            host.zip(number).map(|(host, number)| {
                let url = Text::concat([scheme.into(), "://".into(), host, ":".into(), number]).then(*path);
                let words = ["wget", "-q", "-O", "/dev/null"].map(Text::from);
                words.into_iter().chain(trusts).chain([url]).collect()
            })
        }
        (Some(Health::Command(command)), _) => {
            let arguments = command.arguments.iter().filter_map(|argument| resolve(topology, unit, argument));
            Some(std::iter::once(Text::literal(command.program)).chain(arguments).collect())
        }
        // `validate` refuses a health that nothing in the image can ask for.
        (Some(Health::Http { .. }), Probe::Nothing) | (None, _) => None,
    })
}

/// The same with the script, which reads from its environment where the service listens.
///
/// # Errors
/// No variable says where it listens.
pub fn script(policy: &ContainerPolicy, service: &Service) -> Result<Option<Vec<String>>, Problem> {
    let Some(Health::Http { port, path }) = service.health else { return Ok(None) };
    let address = service.variable(&Value::BindAddress(port))?.to_owned();
    let number = service.variable(&Value::BindPort(port))?.to_owned();
    Ok(Some(vec!["bash".to_owned(), tree(policy, policy.probe), address, number, path.to_owned()]))
}
