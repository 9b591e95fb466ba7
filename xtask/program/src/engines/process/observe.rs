//! What the process engine has to know: how programs are started, and by whom.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use artifacts::Artifact;
use artifacts::containers::edge::{Certified, Place, placed};
use foundation::exit::refused;
use rustix::process::geteuid;
use vocabulary::model::environment::{Environment, Tls};
use vocabulary::model::{Command, Health, Platform, PortRef, Unit};
use vocabulary::problem::{Problem, listing};

use super::contract;
use super::instance::{
    ADDRESS, Instance, Ports, Socket, held_in, releases_in, socket, sockets, supervisor_of,
};
use super::lower::{self, BringUp, Surroundings};
use super::resolve::Resolver;
use super::roll;
use crate::deployment::contracted;
use crate::deployment::releases::Installed;
use crate::engines::roll::running::{AllRunning, Running, release_of};
use crate::engines::{self, Engine, Intent};
use crate::tools::Toolbox;
use crate::tools::programs::{Programs, programs};
use runner::plan::step::Plan;
use runner::supervisor::Client;
use runner::supervisor::protocol::{ServiceStatus, State};

/// Plain processes of this machine, under our own supervisor.
#[derive(Debug, Clone, Copy)]
pub struct Process;

/// What every system has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What it knows of the world.
#[derive(Default)]
pub struct Observed {
    pub instance: Instance,
    pub target: String,
    /// How each program of the catalogue is started: its path and leading arguments.
    pub programs: Programs,
    /// `PATH` of the caller.
    pub path: String,
    pub caller_is_root: bool,
    /// The configuration of the edge, where one runs.
    pub edge: Option<Artifact>,
    /// Whether a service of the platform runs already. The supervisor, and a deploy under it, are none.
    pub runs: bool,
    /// The configuration that the edge runs with, where that is another one.
    pub edge_before: Option<String>,
    /// What the supervisor runs, where a release is rolled out.
    pub running: AllRunning,
    /// The units that run already what they would run with the new release.
    pub unchanged: BTreeSet<String>,
    /// The contract migrations that were run in the environment.
    pub contracted: BTreeSet<String>,
    /// Those of the release, where they are to be run.
    pub contract: BTreeSet<String>,
}

impl Engine for Process {
    type Observed = Observed;

    fn sockets(&self, platform: &Platform, environment: &Environment) -> Vec<Socket> {
        sockets(&platform.slots(environment), environment)
    }

    fn observe(
        &self,
        place: &engines::Place<'_>,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
    ) -> Result<Observed> {
        let context = place.context;
        let programs = match intent {
            Intent::BringUp { .. } | Intent::RollOut { .. } | Intent::Contract | Intent::ChangeSecrets(_) => {
                let names = program_names(&platform.units(environment), environment);
                programs(&Toolbox::open(context)?, &context.root, names)?
            }
            Intent::BringDown { .. } => Programs::new(),
        };
        let slots = platform.slots(environment);
        let instance = Instance::of(place);
        let edge = edge_configuration(platform, environment, &slots, place.ports, instance.site_folder());
        let mut seen = Observed {
            edge: edge.map_err(|problems| refused(listing(&problems)))?,
            runs: runs(&instance, &slots)?,
            running: match intent {
                Intent::RollOut { .. } | Intent::Contract | Intent::ChangeSecrets(_) => {
                    running(&instance.folder)?
                }
                Intent::BringUp { .. } | Intent::BringDown { .. } => AllRunning::new(),
            },
            contracted: contracted::read(&instance.folder)?,
            contract: match (intent, platform.database.contract, instance.installed()) {
                (Intent::Contract, Some(contract), Some(release)) => contracted::of(&release, contract)?,
                _ => BTreeSet::new(),
            },
            instance,
            target: place.target.to_owned(),
            programs,
            path: match place.release {
                // Whoever deploys: a service whose command differs is started again.
                Some(_) => PATH.to_owned(),
                None => std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned()),
            },
            caller_is_root: geteuid().is_root(),
            unchanged: BTreeSet::new(),
            edge_before: None,
        };
        seen.edge_before = edge_before(platform, environment, &seen);
        seen.unchanged = roll::unchanged(platform, environment, &seen);
        Ok(seen)
    }

    fn lower(
        &self,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
        seen: &Observed,
    ) -> Plan<BringUp> {
        match *intent {
            Intent::BringUp { watches, inspect } => {
                lower::bring_up(platform, environment, seen, watches, inspect)
            }
            Intent::RollOut { watch } => roll::roll_out(platform, environment, seen, watch),
            Intent::Contract => contract::contract(platform, environment, seen),
            Intent::ChangeSecrets(change) => lower::change_secrets(platform, environment, seen, change),
            Intent::BringDown { .. } => lower::bring_down(seen),
        }
    }

    fn status(&self, seen: &Observed, unit: &str) -> Result<ServiceStatus> {
        status(&seen.instance.supervisor(), unit)
    }
}

/// A service as its supervisor sees it.
///
/// # Errors
/// The supervisor does not answer, or does not know it.
fn status(supervisor: &Path, unit: &str) -> Result<ServiceStatus> {
    let client = Client::connect(supervisor)?.context("the supervisor is gone")?;
    let found = client.status()?.0.into_iter().find(|status| status.name.0 == unit);
    found.with_context(|| format!("the supervisor does not know {unit}"))
}

/// The configuration of the edge in front of these slots, where one of them is an edge; relative paths of the site begin at the
/// folder. Pure.
///
/// # Errors
/// What the edge or the workers lack.
pub fn edge_configuration(
    platform: &Platform,
    environment: &Environment,
    slots: &[Unit<'_>],
    ports: &Ports,
    site: &Path,
) -> Result<Option<Artifact>, Vec<Problem>> {
    let place = |worker: &Unit<'_>| {
        let (ready, _) = worker.service.health_over_http().ok()?;
        let number = |port: PortRef| ports.get(&socket(worker, port.name)).copied();
        let (port, check_port) = (number(platform.workers.flows)?, number(ready)?);
        Some(Place::Fixed { host: ADDRESS.to_owned(), port, check_port })
    };
    let is_there = slots.iter().any(|unit| platform.is_edge(unit)) && !ports.is_empty();
    let trusted = environment.tls.acme_ca_file().map(|file| site.join(file).display().to_string());
    let certified = Certified::of(environment, trusted.as_deref());
    is_there.then(|| placed(platform, slots, &environment.edge, certified, &place)).transpose()
}

fn runs(instance: &Instance, slots: &[Unit<'_>]) -> Result<bool> {
    let Some(client) = Client::connect(&instance.supervisor())? else { return Ok(false) };
    let lives = |status: &&ServiceStatus| {
        matches!(status.state, State::Running | State::BackingOff | State::Stopping)
    };
    let is_unit = |status: &ServiceStatus| slots.iter().any(|unit| unit.name() == status.name.0);
    Ok(client.status()?.0.iter().filter(lives).any(is_unit))
}

/// The configuration that the edge runs with, where it has to read another one.
fn edge_before(platform: &Platform, environment: &Environment, seen: &Observed) -> Option<String> {
    let units = platform.units(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &units };
    let edge = lower::edge(&Surroundings { resolver, seen, watches: false, inspect: None });
    edge.filter(|edge| edge.runs)?.differs()
}

/// What the supervisor of an environment runs, whose folder this is; nothing when there is none.
///
/// # Errors
/// It does not answer.
pub fn running(folder: &Path) -> Result<AllRunning> {
    let Some(client) = Client::connect(&supervisor_of(folder))? else { return Ok(AllRunning::new()) };
    let found = client.status()?.0.into_iter().filter_map(|status| {
        let spec = match client.spec(&status.name) {
            Ok(spec) => spec,
            // A deploy has removed it meanwhile.
            Err(_) if client.status().is_ok_and(|(now, _)| now.iter().all(|one| one.name != status.name)) => {
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        let held = held_in(folder, &status.name.0).exists();
        let release = release_of(&spec, &releases_in(folder));
        let identity =
            release.as_deref().and_then(|id| Installed::at(&releases_in(folder), id).identity().ok());
        Some(Ok((status.name.0.clone(), Running { status, spec, release, identity, held })))
    });
    found.collect()
}

/// A program, and the newer one of its kind that fetches certificates.
const WITH_ACME: [&str; 2] = ["haproxy", "haproxy-next"];

/// What runs where a service names this program.
pub fn chosen(program: &'static str, environment: &Environment) -> &'static str {
    let [any, with_acme] = WITH_ACME;
    if program == any && matches!(environment.tls, Tls::Acme(_)) { with_acme } else { program }
}

/// The names of all programs that the units run or call.
pub fn program_names(units: &[Unit<'_>], environment: &Environment) -> Vec<&'static str> {
    let commands = units.iter().flat_map(|unit| {
        let process = unit.service.process.as_ref();
        let own = process.into_iter().flat_map(|process| &process.commands);
        let initialise = process.and_then(|process| process.initialise.as_ref()).map(|made| &made.command);
        let health = match &unit.service.health {
            Some(Health::Command(command)) => Some(command),
            _ => None,
        };
        own.chain(initialise).chain(health)
    });
    commands
        .flat_map(|command: &Command| [command.program].into_iter().chain(command.calls.iter().copied()))
        .map(|program| chosen(program, environment))
        .collect()
}
