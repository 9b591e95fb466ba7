//! What a platform in containers needs besides what one of processes needs: an engine, Compose, images, networks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Result, anyhow};
use vocabulary::model::environment::Environment;
use vocabulary::model::topology::{Scope, Topology};
use vocabulary::model::{Exposure, Image, Platform, PortRef, ServiceId};

use crate::context::Context;
use crate::engines::compose::lower::DEBUGGER;
use crate::engines::compose::project::{self, Project};
use crate::engines::process::instance::{Ports, Socket, socket};
use crate::images::build::{self, Build, Wanted};
use crate::images::engine::{self, Engine};
use crate::images::locks::{self, StandIns};
use crate::tools::programs::argv_of_catalogue;
use crate::tools::{Program, Toolbox};
use artifacts::containers::{compose, site};
use foundation::program_name::PROGRAM;
use runner::plan::action::Exec;

/// The program of the catalogue that serves where the client has no plugin.
pub const COMPOSE: &str = "docker-compose";

/// Variables by which clients find the engine.
const ENGINE_VARIABLES: [&str; 7] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "XDG_RUNTIME_DIR",
    "DOCKER_API_VERSION",
];

/// What was found on this machine.
#[derive(Debug, Clone)]
pub struct Containers {
    pub project: Project,
    /// Programs of the catalogue that have to be there first.
    pub programs: Vec<&'static str>,
    pub builds: Vec<(String, Exec)>,
    /// The contents of the project's env file.
    pub env: String,
    /// The official references that stand-ins stand in for here.
    pub stand_ins: Vec<String>,
}

/// The engine's client, Compose, and what has to be installed for it.
pub struct Clients {
    pub engine: Engine,
    pub compose: Vec<String>,
    pub programs: Vec<&'static str>,
}

/// Looks for everything that no plan can bring.
///
/// # Errors
/// Every problem at once, each with what to do.
pub fn clients(toolbox: &Toolbox) -> Result<Clients> {
    let mut problems = Vec::new();
    let engine = Engine::find().map_err(|error| problems.push(format!("{error:#}"))).ok();
    if let Some(Err(error)) = engine.as_ref().map(Engine::build) {
        problems.push(format!("{error:#}"));
    }
    let plugin = engine.as_ref().and_then(|engine| engine::compose(&engine.client).ok());
    let pinned = || argv_of_catalogue(toolbox, Program::Compose);
    let programs = if plugin.is_some() { vec![] } else { vec![COMPOSE] };
    let compose = plugin.map_or_else(pinned, Ok).map_err(|error| problems.push(format!("{error:#}"))).ok();
    match (engine, compose) {
        (Some(engine), Some(compose)) if problems.is_empty() => Ok(Clients { engine, compose, programs }),
        _ => Err(anyhow!("{}", problems.join("\n"))),
    }
}

/// The ports that are published on loopback while developing, and the debugger's.
pub fn sockets(platform: &Platform, environment: &Environment) -> Vec<Socket> {
    let topology = Topology::in_environment(platform, environment);
    let published = topology.units.iter().flat_map(|unit| {
        let ports = unit.service.ports.iter();
        let open = ports.filter(|port| {
            port.exposure == Exposure::Public || (topology.is_open(port) && topology.host_reaches(unit, port))
        });
        open.map(|port| Socket {
            key: socket(unit, port.name),
            fixed: None,
            setting: PortRef { service: unit.service.id, name: port.name },
        })
        .collect::<Vec<_>>()
    });
    published.collect()
}

/// Where a project of development lies.
pub fn project(context: &Context, platform: &Platform, target: &str, clients: &Clients) -> Project {
    Project {
        name: project::name(platform.name, target, &context.root),
        docker: clients.engine.client.display().to_string(),
        compose: clients.compose.clone(),
        folder: context.path(folder_of(compose::DEVELOPMENT)),
        files: vec![],
        env_file: context.path("rendered").join(target).join("compose.env"),
    }
}

/// # Errors
/// Every problem at once: no engine, no BuildKit, no Compose, a base without its stand-in where stand-ins are used.
pub fn find(
    context: &Context,
    platform: &Platform,
    environment: &Environment,
    toolbox: &Toolbox,
    target: &str,
    ports: &Ports,
) -> Result<Containers> {
    let clients = clients(toolbox)?;
    let project = project(context, platform, target, &clients);
    let lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    let tag = format!("dev-{}", project::short(&context.root));
    let topology = Topology::in_environment(platform, environment);
    let mut problems = Vec::new();
    let mut images = BTreeMap::new();
    let mut builds = Vec::new();
    let mut used = Vec::new();
    for (service, wanted) in wanted(&topology) {
        let text = fs::read_to_string(context.path(wanted.dockerfile)).unwrap_or_default();
        let found = if lock.stand_ins.is_empty() { Ok(vec![]) } else { build::substituted(&text, &lock) };
        let found = found.unwrap_or_else(|more| {
            let remedy = format!("run `{PROGRAM} image bases --from-packages`");
            problems.extend(more.iter().map(|one| format!("{}: {one}; {remedy}", wanted.dockerfile)));
            vec![]
        });
        let build = Build {
            wanted,
            tag: build::tag(platform.name, wanted.target, &tag),
            arguments: found.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect(),
            stand_ins: found.into_iter().map(|(_, _, stands_for)| stands_for).collect(),
        };
        used.extend(build.stand_ins.iter().cloned());
        images.insert(service, build.tag.clone());
        builds.push((service.to_string(), build::command(&clients.engine, &context.root, &build, false)?));
    }
    for service in &platform.services {
        if let Image::Pinned { reference, .. } = service.image
            && let Some(locked) = lock.stand_ins.iter().find(|locked| locked.stands_for == reference)
        {
            images.insert(service.id, locked.tag.clone());
        }
    }
    if !problems.is_empty() {
        problems.sort();
        problems.dedup();
        return Err(anyhow!("{}", problems.join("\n")));
    }
    used.sort();
    used.dedup();
    let prefix = free_prefix(&clients.engine, &project.name)?;
    let mut environment = environment.clone();
    if let Some(llm) = &mut environment.llm {
        llm.api_key_file = context.path(&llm.api_key_file).display().to_string();
    }
    let secrets = context.state().join(target).join("secrets");
    let placement = site::Placement {
        images,
        secrets: &secrets,
        public_address: "127.0.0.1",
        network_prefix: Some(&prefix),
        scope: Scope::Development,
    };
    let mut lines = site::values(platform, &environment, &placement);
    lines.extend(owner(&context.path("flows"))?);
    lines.extend(port_lines(&topology, ports));
    Ok(Containers { project, programs: clients.programs, builds, env: site::text(&lines), stand_ins: used })
}

/// The variables that say which port of this machine leads to which port of a container.
pub fn port_lines(topology: &Topology<'_>, ports: &Ports) -> Vec<site::Line> {
    let mut lines = Vec::new();
    for unit in &topology.units {
        let key = |port: &str| socket(unit, port);
        for port in &unit.service.ports {
            if let Some(number) = ports.get(&key(port.name)) {
                lines.push(site::variable(&site::port_variable(unit, port.name), number.to_string()));
            }
        }
        if let (Some(_), Some(number)) = (unit.shape.debugger, ports.get(DEBUGGER)) {
            lines.push(site::variable(&site::port_variable(unit, "debugger"), number.to_string()));
        }
    }
    lines
}

/// Variables of this process by which clients find the engine.
pub fn engine_variables() -> BTreeMap<String, String> {
    let found = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
    ENGINE_VARIABLES.iter().filter_map(found).collect()
}

/// A prefix of addresses that no other network of the engine has.
///
/// # Errors
/// The engine does not answer, or every prefix is taken.
pub fn free_prefix(engine: &Engine, project: &str) -> Result<String> {
    let listed = engine.ask(&["network", "ls", "--quiet"])?.stdout;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    let format = "{{index .Labels \"com.docker.compose.project\"}} {{range .IPAM.Config}}{{.Subnet}} {{end}}";
    let mut taken = Vec::new();
    if !ids.is_empty() {
        let arguments: Vec<&str> =
            ["network", "inspect", "--format", format].into_iter().chain(ids).collect();
        let said = engine.ask(&arguments)?.stdout;
        let others = said.lines().filter(|line| line.split(' ').next() != Some(project));
        taken.extend(others.map(str::to_owned));
    }
    let free = |prefix: &String| !taken.iter().any(|line| line.contains(&format!(" {prefix}.")));
    project::prefixes(project).find(free).ok_or_else(|| {
        anyhow!("every network from 10.204 to 10.249 is taken: `docker network ls` shows by whom; end what is not used")
    })
}

/// The images that development builds: by service, its file and stage.
fn wanted(topology: &Topology<'_>) -> BTreeMap<ServiceId, Wanted> {
    topology
        .units
        .iter()
        .filter_map(|unit| {
            let (dockerfile, target) = compose::built_in_development(topology.platform, unit.service)?;
            Some((unit.service.id, Wanted { dockerfile, target }))
        })
        .collect()
}

/// Containers that write into the developer's files do so as their owner.
fn owner(folder: &Path) -> Result<[site::Line; 2]> {
    let found = fs::metadata(folder)?;
    Ok([
        site::variable(site::UID, found.uid().to_string()),
        site::variable(site::GID, found.gid().to_string()),
    ])
}

fn folder_of(file: &str) -> &Path {
    Path::new(file).parent().unwrap_or(Path::new("."))
}
