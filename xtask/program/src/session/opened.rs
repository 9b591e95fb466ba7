//! An opened platform of this checkout: its values, its folder and ports on this machine, its programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vocabulary::model::environment::{EngineKind, Environment, SecretsIn, Tier};
use vocabulary::model::{Platform, PortRef, Unit};

use super::DEFAULT;
use crate::context::Context;
use crate::engines::process::instance::{Instance, Record, ReleaseId, Socket};
use crate::engines::process::lower::{BringUp, Inspect};
use crate::engines::process::observe::program_names;
use crate::engines::process::ports;
use crate::engines::process::resolve::Resolver;
use crate::engines::{AnyEngine, Intent, Lowered, Place, engine, record_in};
use crate::tools::Toolbox;
use foundation::exit::refused;
use foundation::nearest::hint;
use judges::site;
use runner::plan::step::{OnFailure, Plan};
use runner::supervisor::protocol::ServiceStatus;

/// Everything that is needed to bring a platform up.
pub struct Opened {
    pub platform: &'static Platform,
    pub environment: Environment,
    pub toolbox: Toolbox,
    pub instance: Instance,
    /// Why it has other ports than usual, if it has.
    pub moved: Option<String>,
    /// Name of the plan's lock and of the folder below the state folder.
    pub target: String,
    lowered: Box<dyn Lowered>,
}

/// How the caller wants it opened.
pub struct OpenOptions<'a> {
    pub environment: &'a str,
    /// The name of the environment, or another name for a platform that is started for one run only.
    pub target: &'a str,
    /// Any free ports instead of those of this checkout.
    pub any_ports: bool,
    /// Opens the Node.js debugger: on this port, or on one of this checkout for 0.
    pub inspect: Option<u16>,
    /// Whether changes of the sources are applied.
    pub watches: bool,
    /// Instead of the environment's engine.
    pub engine: Option<EngineKind>,
    /// Number of Node-RED replicas, instead of the environment's.
    pub replicas: Option<u32>,
    /// Optional parts of the platform, besides the environment's.
    pub with: &'a [String],
    /// Instead of the environment's: a platform of development has no edge.
    pub tier: Option<Tier>,
}

impl<'a> OpenOptions<'a> {
    /// A platform for one run only, which does not disturb others.
    pub fn private(target: &'a str) -> Self {
        Self {
            environment: DEFAULT,
            target,
            any_ports: true,
            inspect: None,
            watches: false,
            engine: None,
            replicas: None,
            with: &[],
            tier: None,
        }
    }
}

/// The key of the debugger's port.
const INSPECT: &str = "inspect";

impl Opened {
    /// # Errors
    /// Refused when the environment is wrong or runs on another engine; otherwise when no port or program can be
    /// had.
    pub fn open(context: &Context, options: &OpenOptions<'_>, running: Option<&Record>) -> Result<Self> {
        let platform = context.platform;
        let mut environment = site::load(&context.root, options.environment, &site::known(platform))?;
        if options.replicas.is_some() {
            environment.sizes.entry(platform.workers.service().to_string()).or_default().replicas =
                options.replicas;
        }
        add_parts(platform, &mut environment, options.with)?;
        environment.tier = options.tier.unwrap_or(environment.tier);
        // Other machines are served by what is deployed.
        environment.listen = None;
        if options.any_ports {
            // What runs once has nobody who could give the store its keys.
            environment.secret_store = SecretsIn::Files;
        }
        environment.engine = options.engine.unwrap_or(environment.engine);
        if let Some(part) = options.with.iter().find(|part| !platform.has_part_on(environment.engine, part)) {
            return Err(refused(format!(
                "--with {part}: nothing of it runs on the {} engine; add --engine compose",
                environment.engine
            )));
        }
        if environment.engine == EngineKind::Compose && environment.tier != Tier::Development {
            return Err(refused(format!(
                "ops/environments/{}.toml: tier {}, engine compose; expected a development environment on process or \
                 compose: only those run from here",
                environment.name, environment.tier
            )));
        }
        let engine = engine_of(&environment)?;
        let mut wanted = engine.sockets(platform, &environment);
        wanted.push(Socket {
            key: INSPECT.to_owned(),
            fixed: options.inspect.filter(|port| *port != 0),
            address: Ipv4Addr::LOCALHOST.into(),
            setting: PortRef { service: platform.workers.service(), name: INSPECT }.to_string(),
        });
        let (ports, moved) = if options.any_ports {
            (ports::any_free(&wanted)?, None)
        } else {
            let file = format!("ops/environments/{}.toml", environment.name);
            let running = running.map(|record| record.ports.clone()).unwrap_or_default();
            ports::per_checkout(&context.root, &file, &wanted, &running)?
        };
        let inspect =
            options.inspect.map(|_| Inspect { service: platform.workers.service(), port: ports[INSPECT] });
        let intent = Intent::BringUp { watches: options.watches, inspect };
        let place = Place { context, target: options.target, ports: &ports, release: None };
        let lowered = engine.observe(&place, &intent, platform, &environment)?;
        let instance = Instance::of(&place);
        let target = options.target.to_owned();
        let toolbox = Toolbox::open(context)?;
        Ok(Self { platform, environment, toolbox, instance, moved, target, lowered })
    }

    /// An environment that a release is rolled out to, or runs in; `context` is the tree of the release, with the state of all
    /// environments.
    ///
    /// # Errors
    /// Refused when no engine deploys to it; otherwise when no port or program can be had.
    pub fn deployed(
        context: &Context,
        environment: Environment,
        release: &ReleaseId,
        intent: Intent,
    ) -> Result<Self> {
        let platform = context.platform;
        let engine = engine_of(&environment)?;
        let target = environment.name.clone();
        let folder = context.state().join(&target);
        let file = format!("{}/{target}.toml", site::FOLDER);
        let running = deployed_before(&folder, &environment)?.map(|record| record.ports).unwrap_or_default();
        let sockets = engine.sockets(platform, &environment);
        // Whatever the release: by the folder that stays.
        let (ports, moved) = ports::per_checkout(&folder, &file, &sockets, &running)?;
        let place = Place { context, target: &target, ports: &ports, release: Some(release) };
        let lowered = engine.observe(&place, &intent, platform, &environment)?;
        let instance = Instance::of(&place);
        Ok(Self { platform, environment, toolbox: Toolbox::open(context)?, instance, moved, target, lowered })
    }

    pub fn units(&self) -> Vec<Unit<'_>> {
        self.platform.units(&self.environment)
    }

    /// The places where units run or may run: with a spare one where releases are rolled out.
    pub fn slots(&self) -> Vec<Unit<'_>> {
        if self.instance.release.is_some() {
            return self.platform.slots(&self.environment);
        }
        self.units()
    }

    pub fn resolver<'a>(&'a self, units: &'a [Unit<'a>]) -> Resolver<'a> {
        Resolver { platform: self.platform, environment: &self.environment, instance: &self.instance, units }
    }

    /// The plan that brings it up.
    pub fn plan(&self) -> Plan<BringUp> {
        self.lowered.plan(self.platform, &self.environment)
    }

    /// A unit as it is now.
    ///
    /// # Errors
    /// What runs it does not answer, or does not know it.
    pub fn status(&self, unit: &str) -> Result<ServiceStatus> {
        self.lowered.status(unit)
    }

    /// What ends units that the platform no longer has, besides services of the supervisor.
    pub fn others(&self) -> Plan<BringUp> {
        Plan {
            intent: format!("remove what is no longer part of {}", self.target),
            target: self.target.clone(),
            on_failure: OnFailure::Keep,
            steps: self.lowered.others(self.platform, &self.environment),
        }
    }

    /// The official image references that stand-ins replace.
    pub fn stand_ins(&self) -> &[String] {
        self.lowered.stand_ins()
    }

    pub fn in_containers(&self) -> bool {
        self.environment.engine != EngineKind::Process
    }

    /// The port of the Node.js debugger, where it is open: containers of development always open it.
    pub fn debugger(&self, inspects: bool) -> Option<u16> {
        (inspects || self.in_containers()).then(|| self.instance.ports[INSPECT])
    }

    /// The names of all programs that its services run or call.
    pub fn program_names(&self) -> Vec<&'static str> {
        program_names(&self.units(), &self.environment)
    }

    pub fn record(&self) -> Record {
        Record {
            environment: self.environment.name.clone(),
            engine: self.environment.engine,
            with: self.environment.with.clone(),
            ports: self.instance.ports.clone(),
        }
    }
}

/// Adds optional parts of the platform to those that the environment asks for.
fn add_parts(platform: &Platform, environment: &mut Environment, parts: &[String]) -> Result<()> {
    let known: Vec<_> = platform.groups().into_iter().map(|group| group.0).collect();
    for part in parts {
        if !known.contains(&part.as_str()) {
            return Err(refused(format!(
                "--with {part:?}: the platform has no such optional part; expected one of {}{}",
                known.join(", "),
                hint(part, known.iter().copied())
            )));
        }
        if !environment.with.contains(part) {
            environment.with.push(part.clone());
        }
    }
    Ok(())
}

fn engine_of(environment: &Environment) -> Result<&'static dyn AnyEngine> {
    engine(environment.engine)
        .map_err(|error| refused(format!("{}/{}.toml: {error}", site::FOLDER, environment.name)))
}

/// What was recorded of an environment in this folder; none before its first deploy.
///
/// # Errors
/// Refused when it was deployed to another engine: what runs there would not be ended.
pub fn deployed_before(folder: &Path, environment: &Environment) -> Result<Option<Record>> {
    let record = record_in(folder)?;
    if let Some(record) = record.as_ref().filter(|record| record.engine != environment.engine) {
        return Err(refused(format!(
            "{}/{name}.toml: engine = \"{}\", but {name} was deployed to {}; expected that engine, or another environment",
            site::FOLDER,
            environment.engine,
            record.engine,
            name = environment.name
        )));
    }
    Ok(record)
}

/// What was recorded of the platform of a target, and its folder; none when there is none.
///
/// # Errors
/// When the record cannot be read.
pub fn recorded(context: &Context, target: &str) -> Result<Option<(PathBuf, Record)>> {
    let folder = context.state().join(target);
    Ok(record_in(&folder)?.map(|record| (folder, record)))
}
