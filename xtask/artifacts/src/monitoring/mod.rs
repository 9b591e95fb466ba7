//! `rendered/ENV/monitoring`: what the services that watch the others read. An engine that places services elsewhere makes the
//! same files for its own places.

pub mod notifications;
pub mod scraping;

use vocabulary::model::environment::{EngineKind, Environment};
use vocabulary::model::{Platform, PortRef, Unit};

use crate::artifact::{Artifact, Made, Rendered};

pub const FAMILY: Rendered = Rendered {
    name: "monitoring",
    what: "rendered/ENV/monitoring: the configuration of what scrapes metrics and of what delivers alerts",
    source: file!(),
    make: generate,
};

/// The variable that says to a service that it has to read another configuration: with another value, it is started again.
pub const CONFIGURATION: &str = "FLOWSHIP_CONFIGURATION";

/// Where an engine places what the files name.
pub trait Places {
    /// `host:port` at which a port of a unit is found; none where it is not opened.
    fn address(&self, unit: &Unit<'_>, port: PortRef) -> Option<String>;
    /// The path of a file of the repository.
    fn tree(&self, path: &str) -> String;
    /// The path of the certificate that a port has, where nobody certified it.
    fn certificate(&self, port: PortRef) -> Option<String>;
    /// The name in that certificate, where `address` is another one.
    fn certified_name(&self) -> Option<&'static str> {
        None
    }
    /// The path of a secret's file.
    fn secret(&self, secret: vocabulary::model::SecretRef) -> String;
    /// The folder with one file for each target.
    fn targets(&self) -> String;
}

/// In containers: a unit is found under its name.
struct Containers;

impl Places for Containers {
    fn address(&self, unit: &Unit<'_>, port: PortRef) -> Option<String> {
        let number = unit.service.ports.iter().find(|own| own.name == port.name)?.number;
        Some(format!("{}:{number}", unit.name()))
    }

    fn tree(&self, path: &str) -> String {
        format!("/etc/monitoring/{path}")
    }

    fn certificate(&self, _port: PortRef) -> Option<String> {
        None
    }

    fn secret(&self, secret: vocabulary::model::SecretRef) -> String {
        format!("/run/secrets/{secret}")
    }

    fn targets(&self) -> String {
        "/etc/monitoring/targets".to_owned()
    }
}

/// Also for an environment that does not ask for it: its file is judged before somebody does.
fn generate(platform: &Platform, environment: &Environment) -> Made {
    let Some(monitoring) = &platform.monitoring else { return Ok(vec![]) };
    let folder = format!("rendered/{}/monitoring", environment.name);
    let with = platform.groups().into_iter().map(|group| group.0.to_owned()).collect();
    let running = Environment { engine: EngineKind::Compose, with, ..environment.clone() };
    let units = platform.units(&running);
    let file = |name: &str, text: String| Artifact::file(format!("{folder}/{name}"), text);
    let mut made = vec![
        file(scraping::FILE, scraping::configuration(platform, environment, monitoring, &units, &Containers)),
        file(notifications::FILE, notifications::configuration(environment, monitoring, &Containers)),
    ];
    for unit in &units {
        let targets = scraping::targets(platform, environment, unit, &Containers);
        made.extend(targets.into_iter().map(|(name, text)| file(&format!("targets/{name}"), text)));
    }
    Ok(made)
}
