//! One running platform on this machine: where its folders are, and which ports it has. Data, and pure questions.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::deployment::releases::Installed;
use crate::engines::Place;
use crate::engines::compose::deployed::is_public;
use serde::{Deserialize, Serialize};
use vocabulary::model::environment::{EngineKind, Environment, Tier};
use vocabulary::model::{Exposure, Port, PortRef, Protocol, SecretRef, Unit, VolumeRef};

/// Where a platform lives. Several can live beside each other.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// The tree whose platform it is.
    pub root: PathBuf,
    /// Everything it writes is below this folder.
    pub folder: PathBuf,
    pub ports: Ports,
    /// What is deployed; none in a checkout.
    pub release: Option<ReleaseId>,
}

/// What a replica says of itself when it runs a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseId {
    /// The name of the release on this machine.
    pub id: String,
    /// The revision of its flows.
    pub flows_rev: String,
}

/// Port numbers by [`socket`].
pub type Ports = BTreeMap<String, u16>;

/// What a client needs to find a running platform; written when it is brought up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub environment: String,
    /// What runs it.
    #[serde(default)]
    pub engine: EngineKind,
    /// The optional parts of the platform in it.
    #[serde(default)]
    pub with: Vec<String>,
    pub ports: Ports,
}

impl Record {
    /// What the environment's file says, as it runs.
    pub fn running(&self, environment: Environment) -> Environment {
        Environment { engine: self.engine, with: self.with.clone(), ..environment }
    }
}

/// The variable that names [`Instance::compile_cache`] to Node.js.
pub const COMPILE_CACHE: &str = "NODE_COMPILE_CACHE";

/// The folder of the services' logs; those of a plan's steps lie elsewhere.
pub const LOGS: &str = "services";

/// The folder of the metrics of what has ended, below that of an environment.
pub const METRICS: &str = "metrics";

/// All sockets are bound here but those of [`public`]: nothing else can be reached from another machine.
pub const ADDRESS: &str = "127.0.0.1";

/// Where a port serves other machines, if it does.
pub fn public(port: &Port, environment: &Environment) -> Option<(IpAddr, u16)> {
    let listen = environment.listen.as_ref().filter(|_| port.exposure == Exposure::Public)?;
    let number = match port.protocol {
        Protocol::Http => listen.http,
        Protocol::Https => listen.https,
        Protocol::Tcp => return None,
    };
    Some((listen.address.parse().ok()?, number))
}

/// Whether clients on other machines are served.
pub fn serves_others(environment: &Environment) -> bool {
    let is_public = environment.engine == EngineKind::Compose && is_public(environment);
    environment.listen.is_some() || is_public
}

/// Where clients on this machine reach the edge.
pub fn edge_address(environment: &Environment) -> String {
    let one = environment
        .listen
        .as_ref()
        .filter(|listen| listen.address.parse().is_ok_and(|address: IpAddr| !address.is_unspecified()));
    one.map_or_else(|| ADDRESS.to_owned(), |listen| listen.address.clone())
}

/// What sets the number of a port.
pub fn setting(environment: &Environment, unit: &Unit<'_>, port: &Port) -> String {
    match public(port, environment) {
        Some(_) => format!("listen.{}", port.protocol.scheme()),
        None => format!("ports.{}", PortRef { service: unit.service.id, name: port.name }),
    }
}

/// Whether a port is opened at all in this environment.
pub fn is_open(exposure: Exposure, environment: &Environment) -> bool {
    exposure != Exposure::Development || environment.tier == Tier::Development
}

/// The key of a port: `postgres.sql`, or `node-red-a.flows` where there are several replicas.
pub fn socket(unit: &Unit<'_>, port: &str) -> String {
    format!("{}.{port}", unit.name())
}

/// The sockets of a platform in a fixed order: their places in a block of ports.
pub fn sockets(units: &[Unit<'_>], environment: &Environment) -> Vec<Socket> {
    units
        .iter()
        .flat_map(|unit| {
            let open = unit.service.ports.iter().filter(|port| is_open(port.exposure, environment));
            open.map(|port| {
                let public = public(port, environment);
                // A site names `service.port`; with several replicas that is the first one's.
                let own = unit.is_first().then(|| environment.port(unit.service.id.0, port.name)).flatten();
                Socket {
                    key: socket(unit, port.name),
                    address: public.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |(address, _)| address),
                    fixed: public.map(|(_, number)| number).or(own),
                    setting: setting(environment, unit, port),
                }
            })
        })
        .collect()
}

/// A socket that needs a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    pub key: String,
    /// Where it is bound.
    pub address: IpAddr,
    /// The number that the site fixed.
    pub fixed: Option<u16>,
    /// What the site calls it.
    pub setting: String,
}

impl Instance {
    pub fn of(place: &Place<'_>) -> Self {
        let Place { context, target, ports, release } = *place;
        let folder = context.state().join(target);
        Self { root: context.root.clone(), folder, ports: ports.clone(), release: release.cloned() }
    }

    /// What relative paths of the environment's file begin at. A release stays as it was installed.
    pub fn site_folder(&self) -> &Path {
        if self.release.is_some() { &self.folder } else { &self.root }
    }

    /// Where Node.js keeps compiled code: outside the folder that a reset removes, and outside a release, which stays as it was
    /// installed.
    pub fn compile_cache(&self) -> PathBuf {
        let place = if self.release.is_some() { self.folder.clone() } else { self.root.join(".flowship") };
        place.join("node-compile-cache")
    }

    pub fn secrets(&self) -> PathBuf {
        self.folder.join("secrets")
    }

    pub fn secret(&self, secret: SecretRef) -> PathBuf {
        self.secrets().join(secret.0)
    }

    /// The data folder of one unit's volume.
    pub fn volume(&self, unit: &Unit<'_>, volume: VolumeRef) -> PathBuf {
        self.folder.join("data").join(unit.name()).join(volume.name)
    }

    /// The release that is deployed.
    pub fn installed(&self) -> Option<Installed> {
        self.release.as_ref().map(|release| Installed::at(&self.releases(), &release.id))
    }

    /// The folder of an environment's releases.
    pub fn releases(&self) -> PathBuf {
        releases_in(&self.folder)
    }

    /// While this file exists, the unit takes neither requests nor tasks.
    pub fn held(&self, unit: &str) -> PathBuf {
        held_in(&self.folder, unit)
    }

    /// While this file exists, the edge sends the unit nothing: a drain need not wait until it does. The launcher reads it.
    pub fn withdrawn(&self, unit: &str) -> PathBuf {
        held_in(&self.folder, &format!("{unit}.withdrawn"))
    }

    pub fn log(&self, unit: &str) -> PathBuf {
        self.logs().join(format!("{unit}.log"))
    }

    pub fn logs(&self) -> PathBuf {
        self.folder.join(LOGS)
    }

    /// The metrics of what has ended.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join(METRICS)
    }

    /// The supervisor's own folder.
    pub fn supervisor(&self) -> PathBuf {
        supervisor_of(&self.folder)
    }

    pub fn record(&self) -> PathBuf {
        record_of(&self.folder)
    }

    /// A port as any client on this machine finds it: the first replica's.
    pub fn port(&self, port: PortRef, units: &[Unit<'_>]) -> Option<u16> {
        let unit = units.iter().find(|unit| unit.service.id == port.service)?;
        self.ports.get(&socket(unit, port.name)).copied()
    }
}

pub fn supervisor_of(folder: &Path) -> PathBuf {
    folder.join("supervisor")
}

pub fn releases_in(folder: &Path) -> PathBuf {
    folder.join("releases")
}

pub fn held_in(folder: &Path, unit: &str) -> PathBuf {
    folder.join("held").join(unit)
}

pub fn record_of(folder: &Path) -> PathBuf {
    folder.join("instance.json")
}
