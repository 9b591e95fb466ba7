//! Units as services of Compose.

use std::path::Path;

use vocabulary::formats::compose::{
    Attachment, Build, DependencyCondition, Healthcheck, Logs, Mount, Published, Restart, Service, Text,
    Tmpfs, Watch, WatchAction,
};
use vocabulary::model::topology::{Scope, Topology, Unit, WayOut};
use vocabulary::model::{
    ConfigurationFile, Destination, Exposure, Fact, Lifetime, LogStore, Need, Port, Protocol, SecretUse,
    ServiceId, Storage, Value, VolumeRef,
};
use vocabulary::problem::Problem;

use super::compose::built_in_development;
use super::resolve::{HELD, HOST, LOGS, METRICS, address, resolve, secret_file, tree};
use super::site::{self, Limit, Required};
use super::{dockerfiles, edge, health};
use crate::monitoring::CONFIGURATION;

/// Where the repository lies, seen from the folder of the project.
pub const ROOT_OF_TREE: &str = "../../..";

/// # Errors
/// What it lacks to run in a container.
pub fn service(topology: &Topology<'_>, unit: &Unit<'_>) -> Result<Service, Problem> {
    let platform = topology.platform;
    let policy = &platform.containers;
    let (id, shape) = (unit.service.id, unit.shape);
    let sources_are_mounted = is_mounted(topology, unit);
    let (uid, gid) = user(topology, unit);
    let limit = |limit: Limit, default: String| Text::or(limit.variable(id), default);
    let resources = unit.service.resources;
    Ok(Service {
        image: site::image(platform, id, &unit.service.image, topology.scope),
        build: build(topology, unit),
        entrypoint: vec![],
        command: command(topology, unit),
        user: Text::concat([uid.clone(), ":".into(), gid.clone()]),
        environment: environment(topology, unit),
        depends_on: depends_on(topology, unit),
        networks: networks(topology, unit),
        ports: ports(topology, unit),
        secrets: secrets(topology, unit).map(|used| used.secret.to_string()).collect(),
        configs: configurations(topology, unit)
            .map(|file| (file.name.to_owned(), file.path.to_owned()))
            .collect(),
        volumes: sources_are_mounted
            .then(|| sources(topology, unit))
            .into_iter()
            .flatten()
            .chain(volumes(topology, unit))
            .chain(folders_of_host(topology, unit))
            .collect(),
        tmpfs: tmpfs(topology, unit, &uid, &gid),
        healthcheck: health::command(topology, unit)?.map(|command| Healthcheck {
            command,
            every_seconds: policy.check.every_seconds,
            limit_seconds: policy.check.limit_seconds,
            start_seconds: policy.check.start_seconds,
            failures: policy.check.failures,
        }),
        memory: limit(Limit::MemoryMib, resources.memory_mib.to_string()).then("m"),
        cpus: limit(Limit::Cpus, site::cores(resources.cpu_millis)),
        pids: limit(Limit::Pids, resources.pids.to_string()),
        shared_memory_mib: shape.shared_memory_mib,
        open_files: shape.open_files,
        restart: match (&unit.service.lifetime, topology.scope) {
            (Lifetime::OneShot, _) => Restart::Never,
            // A developer sees what fails, and finds nothing running that was not started.
            (_, Scope::Development) => Restart::OnFailure { attempts: policy.restart_attempts },
            // The others stay down after a restart of the engine: on-failure after a clean one, unless-stopped after a
            // kill. `cargo xtask rehearse compose` proves both.
            (_, Scope::Production | Scope::Rehearsal) => Restart::Always,
        },
        stop_signal: unit.service.stop.signal.to_owned(),
        stop_grace_seconds: topology.platform.stop_limit_seconds(unit.service, topology.scope.tier()),
        logs: Logs { file_mib: policy.log_file_mib, files: policy.log_files },
        watch: if sources_are_mounted && has_packages(unit) { watch() } else { vec![] },
    })
}

/// In development our own programs run from the developer's files.
fn is_mounted(topology: &Topology<'_>, unit: &Unit<'_>) -> bool {
    topology.scope == Scope::Development && !unit.shape.sources.is_empty()
}

fn has_packages(unit: &Unit<'_>) -> bool {
    dockerfiles::development_target(unit.service).is_some()
}

fn user(topology: &Topology<'_>, unit: &Unit<'_>) -> (Text, Text) {
    let user = unit.shape.user;
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    if is_mounted(topology, unit) {
        (Text::or(site::UID, uid), Text::or(site::GID, gid))
    } else {
        (Text::literal(uid), Text::literal(gid))
    }
}

fn build(topology: &Topology<'_>, unit: &Unit<'_>) -> Option<Build> {
    if topology.scope != Scope::Development {
        return None;
    }
    let (dockerfile, target) = built_in_development(topology.platform, unit.service)?;
    Some(Build { context: ROOT_OF_TREE, dockerfile: dockerfile.to_owned(), target: target.to_owned() })
}

fn command(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<Text> {
    unit.shape.command.iter().filter_map(|value| resolve(topology, unit, value)).collect()
}

fn environment(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<(String, Text)> {
    let told = unit.service.variables.iter().chain(&unit.shape.variables);
    let told = told
        .filter_map(|variable| Some((variable.name.to_owned(), resolve(topology, unit, &variable.value)?)));
    let policy = &topology.platform.containers;
    let secrets = secrets(topology, unit).filter_map(|used| {
        Some((used.variable?.to_owned(), Text::literal(secret_file(policy, used.secret))))
    });
    let debugger = debugger(topology, unit).into_iter().filter_map(|number| {
        let outside = topology.networks_of(unit).find(|network| network.way_out == WayOut::Open)?;
        let listens = Text::concat(["--inspect=".into(), address(topology, unit, outside)?, ":".into()]);
        Some(("NODE_OPTIONS".to_owned(), listens.then(number.to_string())))
    });
    let configured = is_configured_once(topology, unit)
        .then(|| (CONFIGURATION.to_owned(), Text::or(site::digest_variable(unit.service.id), "")));
    told.chain(edge::places(topology, unit)).chain(secrets).chain(debugger).chain(configured).collect()
}

/// Those that there are.
fn secrets<'a>(topology: &Topology<'_>, unit: &Unit<'a>) -> impl Iterator<Item = &'a SecretUse> {
    unit.service.secrets.iter().filter(|used| !topology.without.contains(&used.secret))
}

/// The debugger's port, where it is open: of the first replica.
fn debugger(topology: &Topology<'_>, unit: &Unit<'_>) -> Option<u16> {
    (topology.scope == Scope::Development && unit.is_first()).then_some(unit.shape.debugger).flatten()
}

fn depends_on(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<(String, DependencyCondition)> {
    let units = |id: ServiceId| {
        topology.units.iter().filter(move |candidate| candidate.service.id == id).map(|unit| unit.name())
    };
    let over_edges = unit.service.edges.iter().filter_map(|edge| match edge.to {
        Destination::Port(to) if edge.need == Need::Start => Some(to.service),
        _ => None,
    });
    let healthy = over_edges.flat_map(units).map(|name| (name, DependencyCondition::Healthy));
    let completed = unit.service.starts_after.iter().copied().flat_map(units);
    healthy.chain(completed.map(|name| (name, DependencyCondition::CompletedSuccessfully))).collect()
}

fn networks(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<(String, Attachment)> {
    topology
        .networks_of(unit)
        .filter_map(|network| {
            let address = address(topology, unit, network)?;
            Some((network.name.clone(), Attachment { address }))
        })
        .collect()
}

/// The port on which clients expect it.
pub fn well_known(port: &Port) -> u16 {
    match port.protocol {
        Protocol::Http => 80,
        Protocol::Https => 443,
        Protocol::Tcp => port.number,
    }
}

fn ports(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<Published> {
    let on_loopback = |name: &str, number: u16| Published {
        address: "127.0.0.1".into(),
        published: Text::or(site::port_variable(unit, name), number.to_string()),
        target: number,
    };
    let published = unit.service.ports.iter().filter_map(|port| {
        if port.exposure == Exposure::Public {
            return Some(Published {
                address: site::PUBLIC_ADDRESS.required(),
                published: Text::or(site::port_variable(unit, port.name), well_known(port).to_string()),
                target: port.number,
            });
        }
        topology.on_loopback(unit, port).then(|| on_loopback(port.name, port.number))
    });
    let debugger = debugger(topology, unit).map(|number| on_loopback("debugger", number));
    published.chain(debugger).collect()
}

/// The variable with the folder of the host that a volume is. Where releases are rolled out, the edge's is one: its
/// configuration is replaced in it, and its sockets are used there. Those of the configurations of the secret store and of what
/// watches the others always are.
fn of_host(topology: &Topology<'_>, unit: &Unit<'_>, volume: &'static str) -> Option<Required> {
    let volume = VolumeRef { service: unit.service.id, name: volume };
    let store = topology.platform.secret_store.map(|store| store.configuration);
    let monitoring = topology.platform.monitoring;
    let scraper = monitoring.map(|monitoring| monitoring.scraper_configuration);
    let notifier = monitoring.map(|monitoring| monitoring.notifier_configuration);
    let viewer = monitoring.and_then(|monitoring| monitoring.viewer).map(|viewer| viewer.configuration);
    let edge = topology.deployed.then_some(topology.platform.edge.folder);
    let folders = [
        (edge, site::EDGE_FOLDER),
        (store, site::STORE_FOLDER),
        (scraper, site::SCRAPER_FOLDER),
        (notifier, site::NOTIFIER_FOLDER),
        (viewer, site::VIEWER_FOLDER),
    ];
    folders.into_iter().find_map(|(folder, variable)| (folder == Some(volume)).then_some(variable))
}

/// The files that are mounted one by one: for that of an edge, see [`of_host`].
pub fn configurations<'a>(
    topology: &Topology<'_>,
    unit: &Unit<'a>,
) -> impl Iterator<Item = &'a ConfigurationFile> {
    let in_folder = topology.deployed && topology.platform.is_edge(unit);
    unit.shape.configuration.iter().filter(move |_| !in_folder)
}

fn folders_of_host(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<Mount> {
    let bind = |source: Required, target: &str, read_only| Mount::Bind {
        source: source.required(),
        target: target.to_owned(),
        read_only,
    };
    let kept = unit
        .shape
        .folders
        .iter()
        .filter_map(|folder| Some((of_host(topology, unit, folder.volume)?, folder.path)));
    let mut mounts: Vec<_> =
        kept.map(|(variable, path)| bind(variable, path, !topology.platform.is_edge(unit))).collect();
    let reads = |fact| reads(unit.service, fact);
    if reads(Fact::LogFolder) {
        mounts.push(bind(site::LOGS, LOGS, true));
    }
    if reads(Fact::MetricsFolder) {
        mounts.push(bind(site::METRICS, METRICS, true));
    }
    if reads(Fact::HostRoot) {
        let propagation = Text::or(site::PROPAGATION, site::FOLLOWS_HOST);
        let source = Text::or(site::HOST_ROOT, "/");
        mounts.push(Mount::Host { source, target: HOST.to_owned(), propagation });
    }
    if collects(topology, unit) {
        let folder = tree(&topology.platform.containers, LogStore::CONFIGURATION);
        let folder = Path::new(&folder).parent().and_then(Path::to_str).unwrap_or_default().to_owned();
        mounts.push(bind(site::COLLECTOR_FOLDER, &folder, true));
        mounts.push(bind(site::COLLECTOR, LogStore::PROGRAM, true));
    }
    if !topology.deployed {
        return mounts;
    }
    if topology.platform.is_edge(unit) {
        let folders =
            unit.shape.configuration.iter().filter_map(|file| Path::new(file.path).parent()?.to_str());
        mounts.extend(folders.map(|folder| bind(site::EDGE_FOLDER, folder, true)));
    }
    if unit.service.variables.iter().any(|variable| variable.value == Value::Fact(Fact::HoldFile)) {
        mounts.push(bind(site::HELD, HELD, true));
    }
    mounts
}

/// Whether a service is told this in its container, wherever in its variables or its command that is.
pub fn reads(service: &vocabulary::model::Service, fact: Fact) -> bool {
    let Some(shape) = service.container.shape() else { return false };
    let told = service.variables.iter().chain(&shape.variables).map(|variable| &variable.value);
    told.chain(&shape.command).flat_map(Value::walk).any(|value| *value == Value::Fact(fact))
}

/// Whether a unit collects the logs of the others.
fn collects(topology: &Topology<'_>, unit: &Unit<'_>) -> bool {
    topology.platform.log_store.is_some_and(|store| store.collector == unit.service.id)
}

/// Whether a unit reads files of the host that it does not notice by itself when they change.
fn is_configured_once(topology: &Topology<'_>, unit: &Unit<'_>) -> bool {
    let watches = topology.platform.monitoring.is_some_and(|monitoring| {
        let viewer = monitoring.viewer.map(|viewer| viewer.web.service);
        monitoring.notifier.service == unit.service.id || viewer == Some(unit.service.id)
    });
    watches || collects(topology, unit)
}

fn volumes(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<Mount> {
    let kept = unit.shape.folders.iter().filter(|folder| folder.storage == Storage::Volume);
    let kept = kept.filter(|folder| of_host(topology, unit, folder.volume).is_none());
    kept.map(|folder| Mount::Volume { name: volume(unit, folder.volume), target: folder.path.to_owned() })
        .collect()
}

/// The engine's name of a unit's volume.
pub fn volume(unit: &Unit<'_>, name: &str) -> String {
    format!("{}-{name}", unit.name())
}

/// The folders of the repository that hold what our images hold.
fn sources(topology: &Topology<'_>, unit: &Unit<'_>) -> Vec<Mount> {
    let policy = &topology.platform.containers;
    let has_editor = unit.service.ports.iter().any(|port| port.exposure == Exposure::Development);
    ["flows", "ops/scripts"]
        .map(|folder| Mount::Bind {
            source: Text::literal(format!("{ROOT_OF_TREE}/{folder}")),
            target: tree(policy, folder),
            // The editor saves the flows; nobody else writes anything.
            read_only: !(has_editor && folder == "flows"),
        })
        .into()
}

fn tmpfs(topology: &Topology<'_>, unit: &Unit<'_>, uid: &Text, gid: &Text) -> Vec<Tmpfs> {
    let in_memory = unit.shape.folders.iter().filter_map(|folder| match folder.storage {
        _ if of_host(topology, unit, folder.volume).is_some() => None,
        Storage::Memory { mib } => Some((folder.path, mib)),
        Storage::Volume => None,
    });
    in_memory
        .chain(unit.shape.scratch.iter().map(|scratch| (scratch.path, scratch.mib)))
        .map(|(path, mib)| Tmpfs { path: path.to_owned(), mib, uid: uid.clone(), gid: gid.clone() })
        .collect()
}

/// The running program watches its own sources; only packages need another image.
fn watch() -> Vec<Watch> {
    ["flows/package.json", "flows/package-lock.json"]
        .map(|path| Watch { path: format!("{ROOT_OF_TREE}/{path}"), action: WatchAction::Rebuild })
        .into()
}
