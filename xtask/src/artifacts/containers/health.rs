//! How a container asks its own service for its health.

use vocabulary::formats::compose::Text;
use vocabulary::model::topology::{Topology, Unit};
use vocabulary::model::{ContainerPolicy, Health, PortRef, Probe, Service, Value};

use super::resolve::{resolve, tree};

/// The command, for the files of an engine; none for a service whose exit code tells.
pub fn command(topology: &Topology<'_>, unit: &Unit<'_>) -> Option<Vec<Text>> {
    let policy = &topology.platform.containers;
    let of_script = || Some(script(policy, unit.service)?.into_iter().map(Text::literal).collect());
    match (unit.service.health.as_ref()?, unit.shape.probe) {
        (Health::Http { .. }, Probe::Script) => of_script(),
        (Health::Http { port, path }, Probe::Wget) => {
            let host = resolve(topology, unit, &Value::BindAddress(*port))?;
            let number = resolve(topology, unit, &Value::BindPort(*port))?;
            let url = Text::concat(["http://".into(), host, ":".into(), number]).then(*path);
            Some(vec!["wget".into(), "-q".into(), "-O".into(), "/dev/null".into(), url])
        }
        (Health::Command(command), _) => {
            let arguments = command.arguments.iter().filter_map(|argument| resolve(topology, unit, argument));
            Some(std::iter::once(Text::literal(command.program)).chain(arguments).collect())
        }
        // `validate` refuses a health that nothing in the image can ask for.
        (Health::Http { .. }, Probe::Nothing) => None,
    }
}

/// The same with the script, which reads from its environment where the service listens.
pub fn script(policy: &ContainerPolicy, service: &Service) -> Option<Vec<String>> {
    let Health::Http { port, path } = *service.health.as_ref()? else { return None };
    let words = ["bash".to_owned(), tree(policy, policy.probe)];
    let variables =
        [Value::BindAddress(port), Value::BindPort(port)].map(|value| told(service, port, &value));
    Some(words.into_iter().chain(variables).chain([path.to_owned()]).collect())
}

fn told(service: &Service, port: PortRef, value: &Value) -> String {
    let variable = service.variables.iter().find(|variable| variable.value == *value);
    variable.unwrap_or_else(|| panic!("no variable tells {} where {port} is", service.id)).name.to_owned()
}
