//! What is deployed to an environment of this machine, and what runs of it. Observes, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use foundation::files;
use foundation::program_name::PROGRAM;
use judges::site;
use runner::plan::http::Request;
use runner::plan::lock::{self, Found};
use runner::plan::mask::Mask;
use runner::supervisor::protocol::{ServiceStatus, State as Process};
use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, Unit};

use super::deployer;
use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::{self, Entry};
use crate::engines::process::instance::ADDRESS;
use crate::engines::roll::running::{AllRunning, Running};
use crate::engines::{process, running};

/// How long a service may take to answer for its health.
const PATIENCE: Duration = Duration::from_secs(3);

/// The command that runs the contract migrations.
pub const CONTRACT: &str = "contract";

/// The folder of what runs: of what was deployed to the environment on this machine, else of what a checkout runs under
/// its name.
///
/// # Errors
/// Refused when there is no such environment.
pub fn folder_of(context: &Context, name: &str) -> Result<PathBuf> {
    if let Some(deployed) = Deployed::found(name) {
        return Ok(deployed.folder());
    }
    site::named(&context.root, name)?;
    Ok(context.state().join(name))
}

/// An environment as it was found.
pub struct State {
    pub environment: Environment,
    /// The oldest first.
    pub history: Vec<Entry>,
    /// The services, without the deploy.
    pub running: AllRunning,
    /// Of what changes the environment.
    pub lock: Found,
    /// Whether a deploy is at work, or is about to be started again.
    pub deploying: bool,
}

impl State {
    /// # Errors
    /// Refused when nothing was deployed, or this program does not understand the environment's file.
    pub fn of(context: &Context, deployed: &Deployed) -> Result<Self> {
        let site = files::read(&deployed.site()?, files::TEXT)?.bytes;
        let deploy = process::observe::running(&deployed.folder())?.remove(deployer::NAME);
        let deploy = deploy.map(|deploy| deploy.status.state);
        let mut running = running(context.platform, &deployed.folder())?;
        running.remove(deployer::NAME);
        let lock = lock::find(&deployed.lock())?;
        Ok(Self {
            environment: deployed.judged(context.platform, site)?,
            history: history::read(&deployed.folder())?,
            running,
            deploying: matches!(lock, Found::Held(_))
                || matches!(deploy, Some(Process::Running | Process::BackingOff | Process::Stopping)),
            lock,
        })
    }

    /// The replicas of the workers that run.
    pub fn workers<'a>(&'a self, platform: &Platform) -> BTreeMap<&'a str, &'a Running> {
        let slots = platform.slots(&self.environment);
        let names: BTreeSet<String> =
            slots.iter().filter(|unit| platform.is_worker(unit)).map(Unit::name).collect();
        let workers = self.running.iter().filter(|(name, _)| names.contains(*name));
        workers.map(|(name, running)| (name.as_str(), running)).collect()
    }

    /// The releases that its replicas run: several after a deploy that did not come to its end.
    pub fn releases(&self, platform: &Platform) -> BTreeSet<&str> {
        self.workers(platform).into_values().filter_map(|running| running.release.as_deref()).collect()
    }

    /// The port at which the edge serves the API; none when the edge does not run.
    pub fn edge_port(&self, platform: &Platform) -> Option<u16> {
        let https = platform.edge.https;
        let slots = platform.slots(&self.environment);
        let edge = slots.iter().find(|unit| unit.service.id == https.service)?;
        self.running.get(&edge.name())?.status.ports.get(https.name).copied()
    }

    /// How one sees that a deploy, or another change, did not come to its end and that no other one is at work; none otherwise.
    pub fn interrupted(&self, platform: &Platform) -> Option<String> {
        if self.deploying {
            return None;
        }
        let killed = match &self.lock {
            Found::Dead(holder) => Some(format!("{holder} was killed")),
            Found::Free | Found::Held(_) => None,
        };
        let (workers, releases) = (self.workers(platform), self.releases(platform));
        let several = (releases.len() > 1).then(|| {
            format!(
                "replicas run different releases: {}",
                releases.into_iter().collect::<Vec<_>>().join(", ")
            )
        });
        let held = workers.iter().filter(|(_, running)| running.held);
        let held = held.map(|(name, _)| format!("{name} is still held, but no deploy is running"));
        let seen: Vec<String> = killed.into_iter().chain(several).chain(held).collect();
        let name = &self.environment.name;
        let command = match &self.lock {
            Found::Dead(holder) => {
                holder.command.split(' ').find(|word| ["down", "start", CONTRACT].contains(word))
            }
            Found::Free | Found::Held(_) => None,
        };
        let again = match command {
            Some(command) => format!("run `{PROGRAM} {command} {name}` again"),
            None => format!("deploy to {name} again (`{PROGRAM} history {name}` lists the deploys)"),
        };
        (!seen.is_empty()).then(|| format!("{}; {again}", seen.join("; ")))
    }
}

/// What a worker says of its health, whether it is healthy or not; none when it does not answer.
pub fn report(platform: &Platform, service: &ServiceStatus) -> Option<serde_json::Value> {
    ask(platform, service, Instant::now() + PATIENCE, &|| false).ok()
}

/// The same, as long as nothing stops it.
///
/// # Errors
/// It gives no answer until then.
pub fn ask(
    platform: &Platform,
    service: &ServiceStatus,
    until: Instant,
    stop: &dyn Fn() -> bool,
) -> Result<serde_json::Value> {
    let (ready, path) = platform.worker_service()?.health_over_http()?;
    // From a container, only the operations port is published: it tells of the health too.
    let port = service.ports.get(ready.name).or_else(|| service.ports.get(platform.workers.operations.name));
    let port = port.with_context(|| format!("{} has no port {}", service.name, ready.name))?;
    let url = Mask::default().resolve(&format!("http://{ADDRESS}:{port}{path}").into(), &BTreeMap::new())?;
    let answer = Request::get(url).send(until, stop)?;
    serde_json::from_str(&answer.body)
        .with_context(|| format!("{}: cannot parse its health report", service.name))
}
