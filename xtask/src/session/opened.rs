//! A platform of this tree, opened: its values, its place on this machine, its programs.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use vocabulary::model::environment::{EngineKind, Environment, Tier};
use vocabulary::model::{Command, Health, Platform, PortRef, Unit};

use super::DEFAULT;
use super::containers::{self, Containers};
use crate::context::Context;
use crate::engines::compose::lower as compose;
use crate::engines::process::instance::{Instance, Record, Socket, record_of, sockets};
use crate::engines::process::lower::{BringUp, Inspect, Surroundings, bring_up};
use crate::engines::process::ports;
use crate::engines::process::resolve::Resolver;
use crate::tools::Toolbox;
use crate::tools::programs::{Programs, XTASK, programs};
use foundation::exit::refused;
use judges::site;
use runner::plan::step::Plan;

/// Everything that is needed to bring a platform up.
pub struct Opened {
    pub platform: &'static Platform,
    pub environment: Environment,
    pub toolbox: Toolbox,
    pub programs: Programs,
    pub instance: Instance,
    /// Why it has other ports than usual, where it has.
    pub moved: Option<String>,
    /// Names the plan's lock and the folder below the state folder.
    pub target: String,
    /// None on the process engine.
    pub containers: Option<Containers>,
}

/// What the caller wants of it.
pub struct Wish<'a> {
    pub environment: &'a str,
    /// The environment's own name for the one that stays; another for one that lives for one run only.
    pub target: &'a str,
    /// Any free ports instead of those of this checkout.
    pub any_ports: bool,
    pub inspect: Option<u16>,
    /// Instead of the environment's engine.
    pub engine: Option<EngineKind>,
    /// How many Node-RED run, instead of as many as the environment says.
    pub replicas: Option<u32>,
}

impl<'a> Wish<'a> {
    /// A platform that lives for one run only, beside whatever else runs.
    pub fn private(target: &'a str) -> Self {
        Self { environment: DEFAULT, target, any_ports: true, inspect: None, engine: None, replicas: None }
    }
}

/// The key of the debugger's port.
const INSPECT: &str = "inspect";

impl Opened {
    /// # Errors
    /// Refused when the environment is wrong or runs on another engine; otherwise when no port or program can be
    /// had.
    pub fn open(context: &Context, wish: &Wish<'_>, running: Option<&Record>) -> Result<Self> {
        let platform = context.platform;
        let mut environment = site::load(&context.root, wish.environment, &site::known_services(platform))?;
        if wish.replicas.is_some() {
            environment.sizes.entry(platform.workers.service().to_string()).or_default().replicas =
                wish.replicas;
        }
        environment.engine = wish.engine.unwrap_or(environment.engine);
        let engine = environment.engine;
        if engine == EngineKind::Kubernetes
            || (engine == EngineKind::Compose && environment.tier != Tier::Development)
        {
            return Err(refused(format!(
                "ops/environments/{}.toml: tier {}, engine {engine}; expected a development environment on process or \
                 compose: only those run from here",
                environment.name, environment.tier
            )));
        }
        let in_containers = engine == EngineKind::Compose;
        let toolbox = Toolbox::open(context)?;
        let units = platform.units(&environment);
        let programs = programs(&toolbox, &context.root, if in_containers { vec![] } else { names(&units) })?;
        let mut wanted = if in_containers {
            containers::sockets(platform, &environment)
        } else {
            sockets(&units, &environment)
        };
        wanted.push(Socket {
            key: INSPECT.to_owned(),
            fixed: wish.inspect.filter(|port| *port != 0),
            setting: PortRef { service: platform.workers.service(), name: INSPECT },
        });
        let (ports, moved) = if wish.any_ports {
            (ports::any_free(&wanted)?, None)
        } else {
            let file = format!("ops/environments/{}.toml", environment.name);
            let running = running.map(|record| record.ports.clone()).unwrap_or_default();
            ports::per_checkout(&context.root, &file, &wanted, &running)?
        };
        let folder = context.state().join(wish.target);
        let instance = Instance { root: context.root.clone(), folder, ports };
        drop(units);
        let containers = in_containers
            .then(|| {
                containers::find(context, platform, &environment, &toolbox, wish.target, &instance.ports)
            })
            .transpose()?;
        let target = wish.target.to_owned();
        Ok(Self { platform, environment, toolbox, programs, instance, moved, target, containers })
    }

    pub fn units(&self) -> Vec<Unit<'_>> {
        self.platform.units(&self.environment)
    }

    pub fn resolver<'a>(&'a self, units: &'a [Unit<'a>]) -> Resolver<'a> {
        Resolver { platform: self.platform, environment: &self.environment, instance: &self.instance, units }
    }

    /// The plan that brings it up.
    pub fn plan(&self, watches: bool, inspects: bool) -> Plan<BringUp> {
        let units = self.units();
        if let Some(containers) = &self.containers {
            return compose::bring_up(&compose::Surroundings {
                resolver: self.resolver(&units),
                project: &containers.project,
                env: &containers.env,
                builds: &containers.builds,
                programs: &containers.programs,
                xtask: &self.programs[XTASK],
                engine: &containers::engine_variables(),
                watches,
                target: &self.target,
            });
        }
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        bring_up(&Surroundings {
            resolver: self.resolver(&units),
            programs: &self.programs,
            path: &path,
            caller_is_root: rustix::process::geteuid().is_root(),
            watches,
            inspect: self
                .debugger(inspects)
                .map(|port| Inspect { service: self.platform.workers.service(), port }),
            target: &self.target,
        })
    }

    /// The port of the Node.js debugger, where it is open: containers of development always open it.
    pub fn debugger(&self, inspects: bool) -> Option<u16> {
        (inspects || self.containers.is_some()).then(|| self.instance.ports[INSPECT])
    }

    /// The names of all programs that its services run or call.
    pub fn program_names(&self) -> Vec<&'static str> {
        names(&self.units())
    }

    pub fn record(&self) -> Record {
        Record {
            environment: self.environment.name.clone(),
            engine: self.environment.engine,
            ports: self.instance.ports.clone(),
        }
    }
}

fn names(units: &[Unit<'_>]) -> Vec<&'static str> {
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
        .collect()
}

/// What was recorded of the platform in this folder; none when there is none.
///
/// # Errors
/// When the record cannot be read.
pub fn recorded(context: &Context, target: &str) -> Result<Option<(PathBuf, Record)>> {
    let folder = context.state().join(target);
    let path = record_of(&folder);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    // One that another version wrote is made anew when the platform is brought up.
    Ok(serde_json::from_str(&text).ok().map(|record| (folder, record)))
}
