//! What a roll needs to know of containers: those that run, the images of the release, and the project that it makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;
use vocabulary::model::environment::{Environment, Tier};
use vocabulary::model::topology::Topology;
use vocabulary::model::{EdgePolicy, Image, Lifetime, Platform, ServiceId, Unit};
use vocabulary::problem::{Problem, listing};

use super::definition::{self, Networks};
use super::monitoring;
use super::observe::{Clients, port_lines, prefix, store_line};
use super::project::{self, Project};
use super::store;
use crate::deployment::releases::Installed;
use crate::engines::Place;
use crate::engines::process::instance::{Instance, Ports, Record, held_in, releases_in};
use crate::engines::process::resolve::Resolver;
use crate::engines::process::roll::files as files_of;
use crate::engines::roll::places;
use crate::engines::roll::running::{AllRunning, Running, release_in};
use crate::images::archive::Archive;
use crate::images::engine::Engine as Client;
use crate::images::locks::{self, StandIns};
use artifacts::Artifact;
use artifacts::containers::edge::{self, Certified};
use artifacts::containers::{compose, site};
use foundation::digest;
use foundation::exit::refused;
use foundation::files;
use runner::plan::service::{ProcessSpec, ServiceName};
use runner::supervisor::protocol::{HealthState, ServiceStatus, State};
use shipping::release::description::{self, Release};

/// The labels that Compose gives its containers.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const FILES: &str = "com.docker.compose.project.config_files";

/// The files of a release's project.
pub const FILE: &str = "compose.yaml";
pub const ENV_FILE: &str = "compose.env";

/// What a roll needs to know.
#[derive(Debug, Default)]
pub struct Deploy {
    /// The project of the release: [`FILE`].
    pub project: String,
    /// The images that the engine gets from the release.
    pub images: Vec<ReleasedImage>,
    /// Other people's images that the engine has to pull, by digest.
    pub pulled: Vec<String>,
    /// The first two numbers of the addresses of the project's networks.
    pub prefix: String,
    /// What runs, by service.
    pub containers: BTreeMap<String, Container>,
    /// Slots that the release does not use: of a service that runs beside itself, the other one.
    pub unused: BTreeSet<String>,
    /// Those that stay as they are, and the networks that they have to join.
    pub stays: BTreeMap<String, Networks>,
    /// The configuration of the edge, and the one that it runs with, where that is another one.
    pub edge: Option<Artifact>,
    pub edge_before: Option<String>,
    /// What the edge trusts its ACME authority's own server by: the site's file, which its container cannot see.
    pub edge_trusts: Option<String>,
    /// The address of the secret store, where it runs.
    pub store: Option<String>,
}

impl Deploy {
    /// The slots that the release uses.
    pub fn slots<'a>(&self, platform: &'a Platform, environment: &Environment) -> Vec<Unit<'a>> {
        let mut slots = platform.slots(environment);
        slots.retain(|unit| !self.unused.contains(&unit.name()));
        slots
    }
}

/// An image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleasedImage {
    pub archive: PathBuf,
    /// Of the manifest in the archive, as the release says.
    pub digest: String,
    /// As the engine knows it.
    pub id: String,
    /// Keeps the engine from removing it as one that nobody named. Nothing is looked up by it.
    pub tag: String,
}

/// A container of a project.
#[derive(Debug, Clone)]
pub struct Container {
    pub running: Running,
    /// The project's file that it was made by.
    pub file: PathBuf,
    /// The id of its image.
    pub image: String,
    /// Those that it is in.
    pub networks: Networks,
}

/// A name for the project of an environment, whatever the release.
pub fn project_name(platform: &Platform, target: &str, folder: &Path) -> String {
    project::name(platform.name, target, folder)
}

/// The project by which a container was made.
pub fn project_of(container: &Container, like: &Project) -> Project {
    let folder = container.file.parent().unwrap_or(Path::new("/")).to_owned();
    Project { env_file: folder.join(ENV_FILE), files: vec![container.file.clone()], folder, ..like.clone() }
}

/// What runs of the environment in this folder; nothing when no client of an engine is there.
///
/// # Errors
/// The engine does not answer.
pub fn running(platform: &Platform, folder: &Path, record: &Record) -> Result<AllRunning> {
    let target = folder.file_name().unwrap_or_default().to_string_lossy();
    let found =
        containers(&Client::find()?, &project_name(platform, &target, folder), folder, &record.ports)?;
    let one_shots = || platform.services.iter().filter(|one| one.lifetime == Lifetime::OneShot);
    let stays = |name: &str| !one_shots().any(|service| is_of(name, service.id));
    Ok(found.into_iter().filter(|(name, _)| stays(name)).map(|(name, one)| (name, one.running)).collect())
}

/// Whether a unit of this name is one of a service, whatever the environment.
pub fn is_of(name: &str, service: ServiceId) -> bool {
    name.strip_prefix(service.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The containers of a project by the names of their services.
///
/// # Errors
/// The engine does not answer.
pub fn containers(
    engine: &Client,
    project: &str,
    folder: &Path,
    ports: &Ports,
) -> Result<BTreeMap<String, Container>> {
    let filter = format!("label={PROJECT}={project}");
    let listed = engine.answer(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let said = engine.ask(&[&["inspect"], &ids[..]].concat())?.of_those_there()?;
    let values: Vec<Value> = serde_json::from_str(&said).context("the engine does not say what runs")?;
    // One that proves a schema takes the name of another.
    let own = values.iter().filter(|value| {
        let service = value["Config"]["Labels"][SERVICE].as_str().unwrap_or_default();
        value["Config"]["Labels"][ONE_OFF] != "True" || value["Name"] == format!("/{project}-{service}-1")
    });
    let mut found: Vec<_> = own.filter_map(|value| container(value, folder, ports)).collect();
    // Compose leaves two when it is killed while it replaces one: that which runs counts.
    found.sort_by_key(|(_, one)| one.running.status.state == State::Running);
    Ok(found.into_iter().collect())
}

/// One container as `docker inspect` tells it.
fn container(value: &Value, folder: &Path, ports: &Ports) -> Option<(String, Container)> {
    let label = |name: &str| value["Config"]["Labels"][name].as_str();
    let name = label(SERVICE)?.to_owned();
    let file = PathBuf::from(label(FILES)?.split(',').next()?);
    let releases = releases_in(folder);
    let release = release_in(&file, &projects_in(folder));
    let identity = release.as_deref().and_then(|id| Installed::at(&releases, id).identity().ok());
    let held = held_in(folder, &name).exists();
    let after = value["Config"]["Env"].as_array().into_iter().flatten().filter_map(asked);
    let spec = ProcessSpec { after: after.collect(), ..ProcessSpec::default() };
    let status = status(&name, value, folder, ports);
    let running = Running { status, spec, release, identity, held };
    let networks = value["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    let networks = networks.filter_map(|(network, one)| {
        Some((network.clone(), one["IPAMConfig"]["IPv4Address"].as_str()?.to_owned()))
    });
    let (image, networks) = (value["Image"].as_str()?.to_owned(), networks.collect());
    Some((name, Container { running, file, image, networks }))
}

/// Whom a container asks at the address in this variable.
fn asked(variable: &Value) -> Option<ServiceName> {
    let (_, rest) = variable.as_str()?.split_once("://")?;
    let host = rest.split(['/', ':']).next().filter(|host| !host.is_empty())?;
    Some(ServiceName(host.to_owned()))
}

fn status(name: &str, value: &Value, folder: &Path, ports: &Ports) -> ServiceStatus {
    let state = &value["State"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let (life, code) = (word(&state["Status"]), &state["ExitCode"]);
    let (of_life, health) = match (life.as_str(), word(&state["Health"]["Status"]).as_str()) {
        ("running", "healthy") => (State::Running, HealthState::Healthy),
        ("running", "unhealthy") => (State::Running, HealthState::Unhealthy),
        ("running", _) => (State::Running, HealthState::Starting),
        ("restarting", _) => (State::BackingOff, HealthState::None),
        _ => (State::Stopped, HealthState::None),
    };
    let reason = match of_life {
        State::Running if health == HealthState::Healthy => None,
        State::Running => {
            let last = state["Health"]["Log"].as_array().and_then(|log| log.last());
            last.and_then(|last| last["Output"].as_str()?.lines().last().map(str::to_owned))
        }
        _ if state["OOMKilled"] == true => Some("it ran out of memory and was killed".to_owned()),
        _ => Some(format!("the container is {life}, exit code {code}")),
    };
    let own = ports
        .iter()
        .filter_map(|(key, number)| Some((key.strip_prefix(name)?.strip_prefix('.')?.to_owned(), *number)));
    ServiceStatus {
        name: ServiceName(name.to_owned()),
        state: of_life,
        health,
        pid: number(&state["Pid"]).filter(|pid| *pid != 0),
        started_ms: foundation::clock::seconds(
            &(word(&state["StartedAt"]).chars().take(19).collect::<String>() + "Z"),
        )
        .map(|seconds| seconds * 1000),
        restarts: number(&value["RestartCount"]).unwrap_or_default(),
        reason,
        ports: own.collect(),
        log: folder.join(crate::engines::process::instance::LOGS).join(format!("{name}.log")),
    }
}

/// One of them as it is now.
///
/// # Errors
/// The engine does not answer, or does not know it.
pub fn look(project: &Project, instance: &Instance, name: &str) -> Result<ServiceStatus> {
    let output = std::process::Command::new(&project.docker)
        .args(["inspect", "--type", "container", &project.container(name)])
        .output()
        .with_context(|| format!("{} cannot be run", project.docker))?;
    let values: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let value = values.first().with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    Ok(status(name, value, &instance.folder, &instance.ports))
}

/// Why a release cannot run in containers, wherever that is.
pub fn lacks(platform: &Platform, environment: &Environment, release: &Release) -> Vec<Problem> {
    let topology = Topology::deployed(platform, environment);
    let mut problems: Vec<Problem> = Vec::new();
    for unit in topology.units.iter().filter(|unit| unit.is_first()) {
        let Image::Built { target, .. } = unit.service.image else { continue };
        match of_target(release, target) {
            None => problems.push(
                Problem::new("images", format!("{} has no image of {}", release.version, unit.service.id))
                    .expected(description::image(&release.version, target))
                    .remedy("package the release with `--images all`"),
            ),
            Some(image) if environment.tier == Tier::Production && !image.stand_ins.is_empty() => problems
                .push(
                    Problem::new("images", format!("{target} was built on stand-ins"))
                        .expected("official images in production"),
                ),
            Some(_) => {}
        }
    }
    problems
}

fn of_target<'a>(release: &'a Release, target: &str) -> Option<&'a description::Image> {
    let file = description::image(&release.version, target);
    release.images.iter().find(|image| image.archive.as_deref() == Some(&file))
}

/// What this place's release needs.
///
/// # Errors
/// An image is missing or cannot be read, or the engine does not answer.
pub fn observe(
    place: &Place<'_>,
    platform: &Platform,
    environment: &Environment,
    clients: &Clients,
) -> Result<(Deploy, Project, String)> {
    let (engine, instance) = (&clients.engine, Instance::of(place));
    let name = project_name(platform, place.target, &instance.folder);
    let installed = Installed::in_folder(place.context.root.parent().context("a release is in a folder")?);
    let release = installed.release()?;
    let lacks = lacks(platform, environment, &release);
    if !lacks.is_empty() {
        return Err(refused(listing(&lacks)));
    }
    let containers = containers(engine, &name, &instance.folder, place.ports)?;
    let running = containers.iter().map(|(name, one)| (name.clone(), one.running.clone())).collect();
    let used = |slots: Vec<Unit<'_>>| {
        rolled_out(place, platform, environment, clients, (&installed, &release), &containers, slots)
    };
    // What has not changed stays where it is.
    let found = used(places::now(platform, environment, &running))?;
    let unchanged = found.0.stays.keys().cloned().collect();
    let next = places::next(platform, environment, &running, &unchanged);
    if next.iter().any(|unit| found.0.unused.contains(&unit.name())) { used(next) } else { Ok(found) }
}

/// The same, where the release uses these slots.
fn rolled_out(
    place: &Place<'_>,
    platform: &Platform,
    environment: &Environment,
    clients: &Clients,
    (installed, release): (&Installed, &Release),
    containers: &BTreeMap<String, Container>,
    slots: Vec<Unit<'_>>,
) -> Result<(Deploy, Project, String)> {
    let (engine, instance) = (&clients.engine, Instance::of(place));
    let name = project_name(platform, place.target, &instance.folder);
    let mut unused: BTreeSet<String> = platform.slots(environment).iter().map(Unit::name).collect();
    unused.retain(|name| !slots.iter().any(|unit| unit.name() == *name));
    let topology = Topology::of_slots(platform, environment, slots);
    let mut seen = Deploy { containers: containers.clone(), unused, ..Deploy::default() };
    let images = images(&topology, engine, place, installed, (release, environment.tier), &mut seen)?;
    let prefix = prefix(engine, &name, &topology.networks)?;
    let mut its = environment.clone();
    if let Some(llm) = &mut its.llm {
        llm.api_key_file = instance.site_folder().join(&llm.api_key_file).display().to_string();
    }
    let secrets = instance.secrets();
    let placement = site::Placement {
        images,
        secrets: &secrets,
        public_address: &address(environment).to_string(),
        network_prefix: Some(&prefix),
        scope: topology.scope,
    };
    let mut lines = site::values(platform, &its, &placement);
    lines.extend(port_lines(&topology, place.ports));
    lines.extend(store_line(&topology, &instance));
    let slots = platform.slots(environment);
    let resolver = Resolver { platform, environment, instance: &instance, units: &slots };
    lines.extend(monitoring::lines(resolver, &prefix, &clients.host)?);
    let edge = slots.iter().find(|unit| platform.is_edge(unit));
    let folder = edge.map(|unit| instance.volume(unit, platform.edge.folder)).unwrap_or_default();
    for (variable, value) in [
        (site::RELEASE, installed.id.clone()),
        (site::HELD, held_in(&instance.folder, "").display().to_string()),
        (site::EDGE_FOLDER, folder.display().to_string()),
    ] {
        lines.push(site::variable(variable.name, value));
    }
    let env = site::text(&lines).map_err(|problems| refused(listing(&problems)))?;
    let made = compose::deployed(&topology).map_err(|problems: Vec<_>| refused(listing(&problems)))?;
    seen.project = made.into_iter().map(|artifact| artifact.contents).collect();
    let trusted = environment.tls.acme_ca_file().map(|file| instance.site_folder().join(file));
    seen.edge_trusts = trusted.map(|file| files::text(&file, files::TEXT)).transpose()?;
    let trusted = seen.edge_trusts.as_ref().map(|_| EdgePolicy::ACME_TRUSTED);
    seen.store = store::address(&topology, &prefix);
    let configured = edge::deployed(&topology, &prefix, Certified::of(environment, trusted));
    seen.edge = configured.map_err(|problems: Vec<_>| refused(listing(&problems)))?;
    // Another file is another folder: a replica comes back as it was.
    let contents = digest::sha256(format!("{}\n{env}", seen.project).as_bytes());
    let folder = projects_in(&instance.folder).join(&installed.id).join(&contents[..12]);
    let project = Project {
        name,
        docker: engine.client.display().to_string(),
        compose: clients.compose.clone(),
        files: vec![folder.join(FILE)],
        env_file: folder.join(ENV_FILE),
        folder,
    };
    seen.prefix = prefix;
    seen.stays = definition::stays(&project, (&seen.project, &env), &seen.containers)?;
    Ok((seen, project, env))
}

/// Whether clients on other machines are served: where the site names a host that others reach.
pub fn is_public(environment: &Environment) -> bool {
    let here = |address: &str| {
        address == "localhost" || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    };
    environment.hosts.iter().any(|host| !here(&host.address))
}

/// Where the ports of the public are bound.
pub fn address(environment: &Environment) -> IpAddr {
    let given = environment.listen.as_ref().and_then(|listen| listen.address.parse().ok());
    let every = if is_public(environment) { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    given.unwrap_or(IpAddr::V4(every))
}

/// The image of each service, as the engine finds it and nothing else.
fn images(
    topology: &Topology<'_>,
    engine: &Client,
    place: &Place<'_>,
    installed: &Installed,
    (release, tier): (&Release, Tier),
    seen: &mut Deploy,
) -> Result<BTreeMap<ServiceId, String>> {
    let platform = topology.platform;
    let lock: StandIns = locks::read(&locks::stand_ins_file(place.context.state()))?;
    let mut images = BTreeMap::new();
    for unit in &topology.units {
        let id = unit.service.id;
        if images.contains_key(&id) {
            continue;
        }
        match unit.service.image {
            Image::Built { target, .. } => {
                let kept = seen.containers.get(&unit.name()).filter(|_| !platform.is_worker(unit));
                let releases = releases_in(&Instance::of(place).folder);
                let kept = kept.filter(|kept| {
                    let before = kept.running.release.as_deref().map(|id| Installed::at(&releases, id));
                    before.is_some_and(|before| same(&before, installed, unit, target))
                });
                if let Some(kept) = kept {
                    images.insert(id, kept.image.clone());
                    continue;
                }
                let image = of_target(release, target).context("its images were looked at")?;
                let archive = installed.files().join(image.archive.as_deref().unwrap_or_default());
                let in_engine = if engine.has_containerd_store() {
                    image.digest.clone()
                } else {
                    Archive::open(&archive)?.only()?.id.clone()
                };
                images.insert(id, in_engine.clone());
                let tag = tag(platform, target, &installed.id);
                let one = ReleasedImage { archive, digest: image.digest.clone(), id: in_engine, tag };
                if !seen.images.contains(&one) {
                    seen.images.push(one);
                }
            }
            Image::Pinned { reference, digest } => {
                let stand_in = lock.of(reference);
                let official = format!("{reference}@{digest}");
                if engine.inspect(&official)?.is_some() {
                    continue;
                }
                match stand_in {
                    Some(stand_in) => {
                        if tier == Tier::Production {
                            return Err(refused(format!(
                                "{reference}: production cannot use a stand-in image; pull the official image"
                            )));
                        }
                        images.insert(id, stand_in.image_id.clone());
                    }
                    None if seen.pulled.contains(&official) => {}
                    None => seen.pulled.push(official),
                }
            }
            Image::Pending { .. } | Image::None => {}
        }
    }
    Ok(images)
}

/// Whether a service has the same files and the same image in two releases, but for the labels, which name the release.
fn same(
    before: &Installed,
    after: &Installed,
    unit: &vocabulary::model::topology::Unit<'_>,
    target: &str,
) -> bool {
    let of = |installed: &Installed| {
        let release = installed.release().ok()?;
        let archive = of_target(&release, target)?.archive.as_deref()?;
        let archive = Archive::open(&installed.files().join(archive)).ok()?;
        Some((files_of(installed, unit)?, without_labels(archive.only().ok()?.config.clone())))
    };
    matches!((of(before), of(after)), (Some(before), Some(after)) if before == after)
}

/// The configuration of an image, with the digests of its layers.
fn without_labels(mut configuration: Value) -> Value {
    if let Some(own) = configuration["config"].as_object_mut() {
        own.remove("Labels");
    }
    configuration
}

/// The engine has the image that the release names.
///
/// # Errors
/// The archive holds another image, or the engine has made another one of it.
pub fn load(engine: &Client, image: &ReleasedImage) -> Result<String> {
    let ReleasedImage { archive, digest, id, tag } = image;
    if engine.inspect(id)?.is_some() {
        // Under a name of this release too: removing that of another one leaves the image.
        engine.answer(&["image", "tag", id, tag])?;
        return Ok(format!("{tag}: the engine has {id} already"));
    }
    let found = shipping::release::oci_digest::of(archive)?
        .map_err(|problem| anyhow!("{}: {problem}", archive.display()))?;
    let fits = Archive::open(archive)?.fits_index()?;
    if let Err(problem) = fits.and_then(|()| {
        if found == *digest { Ok(()) } else { Err(format!("it holds {found}; expected {digest}")) }
    }) {
        bail!("{}: {problem}; deploy the release again from its files", archive.display());
    }
    crate::images::load::load(engine, archive, tag)?;
    if engine.inspect(id)?.is_none() {
        let loaded = engine.inspect(tag)?.map(|loaded| loaded["Id"].to_string());
        let loaded = loaded.unwrap_or_else(|| "none".to_owned());
        bail!("{}: the loaded image has the ID {loaded}; expected {id}", archive.display());
    }
    Ok(format!("{tag}: loaded {id}"))
}

/// Removes what is kept of releases that were removed, now or earlier: their projects, and the names of their images in the
/// engine. An image that a container uses stays, and so does what leads to it: the next time, it is removed. Returns those.
///
/// # Errors
/// A folder cannot be removed, or no engine answers.
pub fn forget(platform: &Platform, folder: &Path, record: &Record, ids: &[String]) -> Result<Vec<String>> {
    let engine = Client::find()?;
    let used: Vec<_> = running(platform, folder, record)?.into_values().map(|one| one.release).collect();
    let mut ids: BTreeSet<String> = ids.iter().cloned().chain(left_over(folder)?).collect();
    // One of them may just be installed anew.
    ids.retain(|id| !used.contains(&Some(id.clone())));
    let built = platform.services.iter().filter_map(|service| match service.image {
        Image::Built { target, .. } => Some(target),
        _ => None,
    });
    let targets: BTreeSet<&str> = built.collect();
    let mut stay = Vec::new();
    for id in ids {
        let before = stay.len();
        for target in &targets {
            let tag = tag(platform, target, &id);
            engine.ask(&["image", "rm", &tag])?;
            if engine.inspect(&tag)?.is_some() {
                stay.push(tag);
            }
        }
        if stay.len() == before {
            files::remove(&projects_in(folder).join(id))?;
        }
    }
    Ok(stay)
}

/// The releases that were removed, and of which the engine still had an image.
fn left_over(folder: &Path) -> Result<Vec<String>> {
    let projects = projects_in(folder);
    let entries = match fs::read_dir(&projects) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.with_context(|| projects.display().to_string())?,
    };
    let names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()
        .with_context(|| projects.display().to_string())?;
    let releases = releases_in(folder);
    Ok(names.into_iter().filter(|id| !Installed::at(&releases, id).folder.exists()).collect())
}

/// The name of a release's image in the engine.
fn tag(platform: &Platform, target: &str, id: &str) -> String {
    format!("{}/{target}:{id}", platform.name)
}

/// Where the projects of an environment's releases are, each in `ID/DIGEST/`: outside the releases, because containers are
/// started again by them even while their release is installed anew.
fn projects_in(folder: &Path) -> PathBuf {
    folder.join("compose")
}
