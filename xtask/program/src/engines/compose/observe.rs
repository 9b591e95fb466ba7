//! Finds what a platform in containers needs besides what processes need: an engine, Compose, images, networks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::environment::{Environment, Tier};
use vocabulary::model::topology::{Network, Scope, Topology, Unit};
use vocabulary::model::{Exposure, Image, Platform, Port, ServiceId};
use vocabulary::problem::listing;

use super::deployed::{self, Deploy};
use super::lower::{self, DEBUGGER};
use super::monitoring::Host;
use super::project::{self, Project};
use super::{contract, monitoring, roll, secrets, starting, store};
use crate::context::Context;
use crate::deployment::contracted;
use crate::engines::process::instance::{Instance, Ports, Socket, public, setting, socket};
use crate::engines::process::lower::BringUp;
use crate::engines::process::resolve::Resolver;
use crate::engines::{Data, Engine, Intent, Place};
use crate::images::build::{self, Build, Wanted};
use crate::images::engine::{self, Engine as Client};
use crate::images::locks::{self, Built, StandIns};
use crate::tools::programs::{XTASK, argv_of_catalogue, programs};
use crate::tools::{Program, Toolbox};
use artifacts::Artifact;
use artifacts::containers::{compose, services, site};
use foundation::exit::refused;
use foundation::program_name::PROGRAM;
use runner::plan::action::Exec;
use runner::plan::step::{Plan, Step};
use runner::supervisor::protocol::ServiceStatus;

/// The program of the catalogue that is used if the client has no Compose plugin.
pub const COMPOSE: &str = "docker-compose";

/// Variables by which clients find the engine.
pub const ENGINE_VARIABLES: [&str; 7] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "XDG_RUNTIME_DIR",
    "DOCKER_API_VERSION",
];

/// Containers on one host, watched by our own supervisor.
#[derive(Debug, Clone, Copy)]
pub struct Compose;

/// What was found.
#[derive(Debug, Default)]
pub struct Observed {
    pub instance: Instance,
    pub target: String,
    pub project: Project,
    /// Programs of the catalogue that must be installed first.
    pub programs: Vec<&'static str>,
    /// How this very program is started.
    pub xtask: Vec<String>,
    /// Variables by which clients find the engine, passed on to the supervisor's programs.
    pub variables: BTreeMap<String, String>,
    /// Every image that is built: its service's name and the client's command line.
    pub builds: Vec<(String, Exec)>,
    /// The first two numbers of the addresses of the project's networks.
    pub prefix: String,
    /// The contents of the project's env file.
    pub env: String,
    /// Files of the project that replace the committed ones, where those do not fit the environment.
    pub rendered: Vec<Artifact>,
    /// The official image references that stand-ins replace here.
    pub stand_ins: Vec<String>,
    /// What rolling a release out needs besides.
    pub deploy: Deploy,
    /// The contract migrations that were run in the environment.
    pub contracted: BTreeSet<String>,
    /// Those of the release, where they are to be run.
    pub contract: BTreeSet<String>,
}

impl Engine for Compose {
    type Observed = Observed;

    fn sockets(&self, platform: &Platform, environment: &Environment) -> Vec<Socket> {
        sockets(platform, environment)
    }

    fn observe(
        &self,
        place: &Place<'_>,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
    ) -> Result<Observed> {
        let toolbox = Toolbox::open(place.context)?;
        let builds = matches!(intent, Intent::BringUp { .. }) && place.release.is_none();
        let mut clients = clients(&toolbox, builds)?;
        if matches!(intent, Intent::BringUp { .. } | Intent::RollOut { .. } | Intent::Contract)
            && let Some(collector) = monitoring::program(platform, environment)
        {
            clients.programs.push(collector);
            let argv = programs(&toolbox, &place.context.root, [collector])?.remove(collector);
            clients.host = Host {
                collector: argv.and_then(|argv| argv.into_iter().next()),
                is_shared: is_shared(&fs::read_to_string("/proc/self/mountinfo")?),
            };
        }
        let mut seen = Observed {
            instance: Instance::of(place),
            target: place.target.to_owned(),
            project: project(place, platform, environment, &clients),
            programs: clients.programs.clone(),
            ..Observed::default()
        };
        match intent {
            Intent::BringUp { .. } if builds => {
                to_bring_up(place, platform, environment, &toolbox, &clients, seen)
            }
            Intent::BringUp { .. } | Intent::RollOut { .. } => {
                to_roll_out(place, platform, environment, &clients, seen)
            }
            Intent::Contract => {
                let seen = to_roll_out(place, platform, environment, &clients, seen)?;
                let contract = platform.database.contract.zip(seen.instance.installed());
                let contract = contract.map(|(contract, release)| contracted::of(&release, contract));
                Ok(Observed { contract: contract.transpose()?.unwrap_or_default(), ..seen })
            }
            Intent::ChangeSecrets(_) | Intent::BringDown { .. } => {
                if place.context.is_deployed() {
                    let (name, folder) = (&seen.project.name, &seen.instance.folder);
                    seen.deploy.containers =
                        deployed::containers(&clients.engine, name, folder, place.ports)?;
                }
                Ok(seen)
            }
        }
    }

    fn lower(
        &self,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
        seen: &Observed,
    ) -> Plan<BringUp> {
        match *intent {
            Intent::BringUp { .. } if seen.instance.release.is_some() => {
                starting::start(platform, environment, seen)
            }
            Intent::BringUp { watches, .. } => lower::bring_up(platform, environment, seen, watches),
            Intent::RollOut { watch } => roll::roll_out(platform, environment, seen, watch),
            Intent::Contract => contract::contract(platform, environment, seen),
            Intent::ChangeSecrets(change) => secrets::change(platform, environment, seen, change),
            Intent::BringDown { data } => {
                let (first, supervisor) = (starting::finished(platform, seen), seen.instance.supervisor());
                lower::bring_down(first, &seen.target, supervisor, &seen.project, data == Data::Go)
            }
        }
    }

    fn status(&self, seen: &Observed, unit: &str) -> Result<ServiceStatus> {
        deployed::look(&seen.project, &seen.instance, unit)
    }

    fn others(&self, platform: &Platform, environment: &Environment, seen: &Observed) -> Vec<Step<BringUp>> {
        roll::remove_others(platform, environment, seen)
    }

    fn stand_ins<'a>(&self, seen: &'a Observed) -> &'a [String] {
        &seen.stand_ins
    }
}

/// Whether the root of the tables of mounts (proc_pid_mountinfo(5)) propagates mounts. Pure.
fn is_shared(mounts: &str) -> bool {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let root = fields.rev().find(|fields| fields.get(4) == Some(&"/"));
    let optional = root.into_iter().flat_map(|fields| fields.into_iter().skip(6));
    optional
        .take_while(|field| *field != "-")
        .any(|field| field.starts_with("shared:") || field.starts_with("master:"))
}

/// The engine's client, Compose, and what has to be installed for it.
pub struct Clients {
    pub engine: Client,
    pub compose: Vec<String>,
    pub programs: Vec<&'static str>,
    pub host: Host,
}

/// Checks for everything that no plan can install; `builds` when images are built.
///
/// # Errors
/// Every problem at once, each with what to do.
pub fn clients(toolbox: &Toolbox, builds: bool) -> Result<Clients> {
    let mut problems = Vec::new();
    let engine = Client::find().map_err(|error| problems.push(format!("{error:#}"))).ok();
    if let Some(Err(error)) = engine.as_ref().filter(|_| builds).map(Client::build) {
        problems.push(format!("{error:#}"));
    }
    let plugin = engine.as_ref().and_then(|engine| engine::compose(&engine.client).ok());
    let pinned = || argv_of_catalogue(toolbox, Program::Compose);
    let programs = if plugin.is_some() { vec![] } else { vec![COMPOSE] };
    let compose = plugin.map_or_else(pinned, Ok).map_err(|error| problems.push(format!("{error:#}"))).ok();
    match (engine, compose) {
        (Some(engine), Some(compose)) if problems.is_empty() => {
            Ok(Clients { engine, compose, programs, host: Host::default() })
        }
        _ => Err(anyhow!("{}", problems.join("\n"))),
    }
}

/// The ports that are published: those of the public, and on loopback those of a developer and of who deploys.
pub fn sockets(platform: &Platform, environment: &Environment) -> Vec<Socket> {
    let topology = match environment.tier {
        Tier::Development => Topology::in_environment(platform, environment),
        Tier::Staging | Tier::Production => Topology::deployed(platform, environment),
    };
    let published = topology.units.iter().flat_map(|unit| {
        let ports = unit.service.ports.iter();
        let open = ports.filter(|port| port.exposure == Exposure::Public || topology.on_loopback(unit, port));
        open.map(|port| Socket {
            key: socket(unit, port.name),
            address: match port.exposure {
                Exposure::Public => deployed::address(environment),
                _ => Ipv4Addr::LOCALHOST.into(),
            },
            fixed: fixed(environment, unit, port),
            setting: setting(environment, unit, port),
        })
        .collect::<Vec<_>>()
    });
    published.collect()
}

/// The number that the site has set, or that clients on other machines expect.
fn fixed(environment: &Environment, unit: &Unit<'_>, port: &Port) -> Option<u16> {
    let listen = public(port, environment).map(|(_, number)| number);
    let set = unit.is_first().then(|| environment.port(unit.service.id.0, port.name)).flatten();
    let known = (port.exposure == Exposure::Public && deployed::is_public(environment))
        .then(|| services::well_known(port));
    listen.or(set).or(known).filter(|_| environment.tier != Tier::Development)
}

/// What a release needs besides an engine.
fn to_roll_out(
    place: &Place<'_>,
    platform: &Platform,
    environment: &Environment,
    clients: &Clients,
    mut seen: Observed,
) -> Result<Observed> {
    let (deploy, project, env) = deployed::observe(place, platform, environment, clients)?;
    seen.variables = engine_variables();
    seen.contracted = contracted::read(&seen.instance.folder)?;
    seen.prefix.clone_from(&deploy.prefix);
    (seen.deploy, seen.project, seen.env) = (deploy, project, env);
    seen.deploy.edge_before = roll::edge_before(platform, environment, &seen);
    Ok(seen)
}

/// The committed files of the environment's scope.
fn project(place: &Place<'_>, platform: &Platform, environment: &Environment, clients: &Clients) -> Project {
    let context = place.context;
    let committed: &[&str] = match Scope::of(environment) {
        // Compose finds the override beside it by itself.
        Scope::Development => &[compose::DEVELOPMENT],
        Scope::Production => &[compose::PRODUCTION],
        Scope::Rehearsal => &[compose::PRODUCTION, compose::REHEARSAL],
    };
    Project {
        name: if context.is_deployed() {
            deployed::project_name(platform, place.target, &context.state().join(place.target))
        } else {
            project::name(platform.name, place.target, &context.root)
        },
        docker: clients.engine.client.display().to_string(),
        compose: clients.compose.clone(),
        folder: context.path(folder_of(committed[0])),
        files: match Scope::of(environment) {
            Scope::Development => vec![],
            _ => committed.iter().map(|file| context.path(file)).collect(),
        },
        env_file: context.path("rendered").join(place.target).join("compose.env"),
    }
}

/// # Errors
/// Every problem at once: no BuildKit, an image that is not built, a base without its stand-in where stand-ins are used.
fn to_bring_up(
    place: &Place<'_>,
    platform: &Platform,
    environment: &Environment,
    toolbox: &Toolbox,
    clients: &Clients,
    mut seen: Observed,
) -> Result<Observed> {
    let (context, client) = (place.context, &clients.engine);
    let topology = Topology::in_environment(platform, environment);
    let images = if topology.scope == Scope::Development {
        images_to_build(context, &topology, client, &mut seen)?
    } else {
        images_of_builds(context, &topology, &mut seen)?
    };
    seen.stand_ins.sort();
    seen.stand_ins.dedup();
    seen.prefix = free_prefix(client, &seen.project.name)?;
    seen.deploy.store = store::address(&topology, &seen.prefix);
    let mut environment = environment.clone();
    if let Some(llm) = &mut environment.llm {
        llm.api_key_file = context.path(&llm.api_key_file).display().to_string();
    }
    let secrets = seen.instance.secrets();
    let placement = site::Placement {
        images,
        secrets: &secrets,
        public_address: "127.0.0.1",
        network_prefix: Some(&seen.prefix),
        scope: topology.scope,
    };
    let mut lines = site::values(platform, &environment, &placement);
    if topology.scope == Scope::Development {
        lines.extend(owner(&context.path("flows"))?);
    }
    lines.extend(port_lines(&topology, place.ports));
    lines.extend(store_line(&topology, &seen.instance));
    let units = platform.units(&environment);
    let resolver = Resolver { platform, environment: &environment, instance: &seen.instance, units: &units };
    lines.extend(monitoring::lines(resolver, &seen.prefix, &clients.host)?);
    seen.env = site::text(&lines).map_err(|problems| refused(listing(&problems)))?;
    seen.rendered =
        compose::rendered(&topology, &format!("rendered/{}", place.target)).map_err(|problems| {
            anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
    if let Some(file) = seen.rendered.first() {
        seen.project.files = vec![context.path(&file.path)];
    }
    let mut own = programs(toolbox, &context.root, [])?;
    seen.xtask = own.remove(XTASK).context("the path of this program is unknown")?;
    seen.variables = engine_variables();
    Ok(seen)
}

/// Development builds its images from the working tree.
fn images_to_build(
    context: &Context,
    topology: &Topology<'_>,
    client: &Client,
    seen: &mut Observed,
) -> Result<BTreeMap<ServiceId, String>> {
    let platform = topology.platform;
    let lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    let tag = format!("dev-{}", project::short(&context.root));
    let mut problems = Vec::new();
    let mut images = BTreeMap::new();
    for (service, wanted) in wanted(topology) {
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
        seen.stand_ins.extend(build.stand_ins.iter().cloned());
        images.insert(service, build.tag.clone());
        seen.builds.push((service.to_string(), build::command(client, &context.root, &build, false)?));
    }
    for service in &platform.services {
        if let Image::Pinned { reference, .. } = service.image
            && let Some(locked) = lock.of(reference)
        {
            images.insert(service.id, locked.tag.clone());
            seen.stand_ins.extend(topology.first(service.id).is_ok().then(|| reference.to_owned()));
        }
    }
    if !problems.is_empty() {
        problems.sort();
        problems.dedup();
        return Err(anyhow!("{}", problems.join("\n")));
    }
    Ok(images)
}

/// Other environments run the images that were built here before, and the stand-ins that they were built on.
fn images_of_builds(
    context: &Context,
    topology: &Topology<'_>,
    seen: &mut Observed,
) -> Result<BTreeMap<ServiceId, String>> {
    let built: Built = locks::read(&locks::built_file(context.state()))?;
    let lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    seen.stand_ins.extend(built.images.iter().flat_map(|image| image.stand_ins.iter().cloned()));
    let mut images = BTreeMap::new();
    let mut missing = Vec::new();
    for unit in &topology.units {
        let id = unit.service.id;
        let found = match unit.service.image {
            Image::Built { target, .. } => {
                let image = built.images.iter().find(|image| image.target == target);
                image.map(|image| image.tag.clone()).ok_or_else(|| {
                    format!(
                        "no image of {id} was built here: run `{PROGRAM} image build`, with --stand-ins where no \
                         registry can be reached"
                    )
                })
            }
            Image::Pinned { reference, .. } if !seen.stand_ins.is_empty() => {
                let locked = lock.of(reference);
                locked.map(|locked| locked.tag.clone()).ok_or_else(|| {
                    let with = unit.service.group.filter(|group| topology.platform.groups().contains(group));
                    let with = with.map_or_else(String::new, |group| format!(" --with {}", group.0));
                    format!(
                        "no stand-in for {reference} is locked: run `{PROGRAM} image bases --from-packages{with}`"
                    )
                })
            }
            _ => continue,
        };
        match found {
            Ok(image) => drop(images.insert(id, image)),
            Err(problem) => missing.push(problem),
        }
    }
    missing.dedup();
    if missing.is_empty() { Ok(images) } else { Err(anyhow!("{}", missing.join("\n"))) }
}

/// The variables that say which port of this machine leads to which port of a container.
pub fn port_lines(topology: &Topology<'_>, ports: &Ports) -> Vec<site::Line> {
    let mut lines = Vec::new();
    for unit in &topology.units {
        let key = |port: &str| socket(unit, port);
        for port in &unit.service.ports {
            let published = port.exposure == Exposure::Public || topology.on_loopback(unit, port);
            if let Some(number) = ports.get(&key(port.name)).filter(|_| published) {
                lines.push(site::variable(&site::port_variable(unit, port.name), number.to_string()));
            }
        }
        if let (Some(_), true, Some(number)) = (unit.shape.debugger, unit.is_first(), ports.get(DEBUGGER)) {
            lines.push(site::variable(&site::port_variable(unit, "debugger"), number.to_string()));
        }
    }
    lines
}

/// Where the secret store finds its configuration, where it runs.
pub fn store_line(topology: &Topology<'_>, instance: &Instance) -> Option<site::Line> {
    let store = topology.platform.secret_store?;
    let unit = topology.first(store.service()).ok()?;
    let folder = instance.volume(unit, store.configuration);
    Some(site::variable(site::STORE_FOLDER.name, folder.display().to_string()))
}

/// Variables of this process by which clients find the engine.
fn engine_variables() -> BTreeMap<String, String> {
    let found = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
    ENGINE_VARIABLES.iter().filter_map(found).collect()
}

/// The prefix of the addresses of a project that is there already, or one that no other network of the engine has. `wanted`
/// are the networks that the project is to have.
///
/// # Errors
/// As [`free_prefix`]; refused where a network that is there would get other addresses.
pub fn prefix(engine: &Client, project: &str, wanted: &[Network]) -> Result<String> {
    let filter = format!("label=com.docker.compose.project={project}");
    let listed = engine.answer(&["network", "ls", "--quiet", "--filter", &filter])?;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    if ids.is_empty() {
        return free_prefix(engine, project);
    }
    let format = "{{index .Labels \"com.docker.compose.network\"}} {{range .IPAM.Config}}{{.Subnet}}{{end}}";
    let said = engine.ask(&[&["network", "inspect", "--format", format], &ids[..]].concat())?;
    let said = said.of_those_there()?;
    let there: Vec<(&str, &str)> = said.lines().filter_map(|line| line.split_once(' ')).collect();
    kept(project, &there, wanted).map_err(refused)
}

/// The prefix of networks that are there, by their names and addresses. Pure.
fn kept(project: &str, there: &[(&str, &str)], wanted: &[Network]) -> Result<String, String> {
    let prefix = |(_, subnet): &(&str, &str)| {
        let mut numbers = subnet.split('.');
        Some(format!("{}.{}", numbers.next().filter(|number| !number.is_empty())?, numbers.next()?))
    };
    let Some(prefix) = there.iter().find_map(prefix) else {
        return Err(format!(
            "the networks of {project} have no IPv4 addresses; `docker network ls` lists them"
        ));
    };
    let moved = there.iter().filter_map(|(name, subnet)| {
        let network = wanted.iter().find(|network| network.name == *name)?;
        let expected = format!("{prefix}.{}", Topology::subnet(network));
        (expected != *subnet).then(|| {
            format!(
                "network {project}_{name}: it has the addresses {subnet}; expected {expected}: Compose would stop every \
                 container in it to make it anew; end them at a time of your choice (`docker compose --project-name \
                 {project} down`, which keeps the data), then deploy again"
            )
        })
    });
    let moved: Vec<String> = moved.collect();
    if moved.is_empty() { Ok(prefix) } else { Err(moved.join("\n")) }
}

/// A prefix of addresses that no other network of the engine has.
///
/// # Errors
/// The engine does not answer, or every prefix is taken.
pub fn free_prefix(engine: &Client, project: &str) -> Result<String> {
    let listed = engine.answer(&["network", "ls", "--quiet"])?;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    let format = "{{index .Labels \"com.docker.compose.project\"}} {{range .IPAM.Config}}{{.Subnet}} {{end}}";
    let mut taken = Vec::new();
    if !ids.is_empty() {
        let arguments: Vec<&str> =
            ["network", "inspect", "--format", format].into_iter().chain(ids).collect();
        let said = engine.ask(&arguments)?.of_those_there()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_root_says_whether_mounts_propagate() {
        let line = |more: &str| {
            format!(
                "29 1 254:0 / / rw,relatime {more}- ext4 /dev/root rw\n30 29 0:5 / /dev rw shared:2 - x x rw"
            )
        };
        assert!(!is_shared(&line("")) && is_shared(&line("shared:1 ")) && is_shared(&line("master:7 ")));
        assert!(!is_shared(&format!("{}\n{}", line("shared:1 "), line(""))));
    }

    #[test]
    fn networks_that_are_there_keep_their_addresses_or_nothing_is_done() {
        let platform = second_platform::platform();
        let topology = Topology::of(&platform, Scope::Production);
        let wanted = &topology.networks;
        let is = |prefix: &str, network: &Network| format!("{prefix}.{}", Topology::subnet(network));
        let [one, two] = [is("10.77", &wanted[0]), is("10.77", &wanted[1])];
        let [first, second] = [&*wanted[0].name, &*wanted[1].name];
        assert_eq!(kept("p", &[(first, &one), (second, &two)], wanted), Ok("10.77".to_owned()));
        // A network that the release does not have any more is none of its business.
        assert_eq!(kept("p", &[("gone", "10.77.9.0/24"), (first, &one)], wanted), Ok("10.77".to_owned()));
        for (there, said) in [
            (&[(first, &*two)][..], first),
            (&[(first, &*one), (second, &is("10.78", &wanted[1]))], second),
            (&[(first, "")], "no IPv4 addresses"),
        ] {
            let problem = kept("p", there, wanted).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
