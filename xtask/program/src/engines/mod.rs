//! Engines: what runs a platform. A command states an [`Intent`]; the engine of the environment looks at the world and
//! lowers the intent to a plan. Which units exist is decided by [`Platform::units`], the same for every engine.

pub mod compose;
pub mod process;
pub mod roll;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use vocabulary::model::Platform;
use vocabulary::model::environment::{EngineKind, Environment};

use crate::context::Context;
use foundation::exit::refused;
use foundation::files;
use process::instance::{Ports, Record, ReleaseId, Socket, record_of};
use process::lower::{BringUp, Inspect};
use roll::rotation::Change;
use roll::running::AllRunning;
use runner::plan::step::{Plan, Step};
use runner::supervisor::protocol::ServiceStatus;

/// What somebody wants of the platform of a target. Rolling back is rolling out what ran before; restoring comes later.
#[derive(Debug, Clone, Copy)]
pub enum Intent {
    /// Everything that the environment wants runs, and is up to date.
    BringUp {
        /// Whether changes of sources take effect.
        watches: bool,
        inspect: Option<Inspect>,
    },
    /// The place's release runs, and no other one. What serves goes on until something else does.
    RollOut {
        /// How long the result is watched.
        watch: Duration,
    },
    /// The contract migrations of the place's release, which runs, are run.
    Contract,
    /// The secrets of what runs are proven, replaced or revoked.
    ChangeSecrets(Change),
    /// Nothing runs.
    BringDown { data: Data },
}

/// What becomes of the data of a platform that is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Stay,
    /// Those that the engine holds; those in the state folder are the caller's to remove.
    Go,
}

/// Where a platform lives.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub context: &'a Context,
    /// Names the plan's lock and the folder below the state folder.
    pub target: &'a str,
    /// Of the sockets that the engine asked for; empty for an intent that opens none.
    pub ports: &'a Ports,
    /// What is deployed there; none for a checkout's own platform.
    pub release: Option<&'a ReleaseId>,
}

/// One way to run a platform. Steps are its own: another engine has other ones for the same intent.
pub trait Engine: Sync {
    /// What the lowering has to know of the world: where programs and images are, what runs, what objects there are.
    type Observed: Sync;

    /// The sockets on this machine that need a number.
    fn sockets(&self, platform: &Platform, environment: &Environment) -> Vec<Socket>;

    /// Looks, and changes nothing.
    ///
    /// # Errors
    /// Every problem at once, each with what to do.
    fn observe(
        &self,
        place: &Place<'_>,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
    ) -> Result<Self::Observed>;

    /// Pure: the same intent on the same world gives the same plan.
    fn lower(
        &self,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
        seen: &Self::Observed,
    ) -> Plan<BringUp>;

    /// A unit as it is now.
    ///
    /// # Errors
    /// What runs it does not answer, or does not know it.
    fn status(&self, seen: &Self::Observed, unit: &str) -> Result<ServiceStatus>;

    /// What ends units that the platform no longer has, besides services of the supervisor.
    fn others(&self, _: &Platform, _: &Environment, _: &Self::Observed) -> Vec<Step<BringUp>> {
        vec![]
    }

    /// What stands in for what could not be had.
    fn stand_ins<'a>(&self, _seen: &'a Self::Observed) -> &'a [String] {
        &[]
    }
}

/// Any engine, whatever it observes.
pub trait AnyEngine {
    /// As [`Engine::sockets`].
    fn sockets(&self, platform: &Platform, environment: &Environment) -> Vec<Socket>;

    /// As [`Engine::observe`].
    ///
    /// # Errors
    /// As there.
    fn observe(
        &self,
        place: &Place<'_>,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
    ) -> Result<Box<dyn Lowered>>;
}

/// An intent with what its engine has seen of the world.
pub trait Lowered: Sync {
    fn plan(&self, platform: &Platform, environment: &Environment) -> Plan<BringUp>;

    /// As [`Engine::status`].
    ///
    /// # Errors
    /// As there.
    fn status(&self, unit: &str) -> Result<ServiceStatus>;

    /// As [`Engine::others`].
    fn others(&self, platform: &Platform, environment: &Environment) -> Vec<Step<BringUp>>;

    /// As [`Engine::stand_ins`].
    fn stand_ins(&self) -> &[String];
}

struct Seen<E: Engine> {
    engine: E,
    intent: Intent,
    seen: E::Observed,
}

impl<E: Engine> Lowered for Seen<E> {
    fn plan(&self, platform: &Platform, environment: &Environment) -> Plan<BringUp> {
        self.engine.lower(&self.intent, platform, environment, &self.seen)
    }

    fn status(&self, unit: &str) -> Result<ServiceStatus> {
        self.engine.status(&self.seen, unit)
    }

    fn others(&self, platform: &Platform, environment: &Environment) -> Vec<Step<BringUp>> {
        self.engine.others(platform, environment, &self.seen)
    }

    fn stand_ins(&self) -> &[String] {
        self.engine.stand_ins(&self.seen)
    }
}

impl<E: Engine + Copy + 'static> AnyEngine for E {
    fn sockets(&self, platform: &Platform, environment: &Environment) -> Vec<Socket> {
        Engine::sockets(self, platform, environment)
    }

    fn observe(
        &self,
        place: &Place<'_>,
        intent: &Intent,
        platform: &Platform,
        environment: &Environment,
    ) -> Result<Box<dyn Lowered>> {
        let seen = Engine::observe(self, place, intent, platform, environment)?;
        Ok(Box::new(Seen { engine: *self, intent: *intent, seen }))
    }
}

/// What runs of a deployed environment, whose folder this is.
///
/// # Errors
/// The supervisor or the engine does not answer.
pub fn running(platform: &Platform, folder: &Path) -> Result<AllRunning> {
    match record_in(folder)? {
        Some(record) if record.engine == EngineKind::Compose => {
            compose::deployed::running(platform, folder, &record)
        }
        _ => process::observe::running(folder),
    }
}

/// Removes what the engine keeps of releases that were removed from a deployed environment, whose folder this is. Returns the
/// names of what it still needs.
///
/// # Errors
/// It cannot be removed.
pub fn forget(platform: &Platform, folder: &Path, ids: &[String]) -> Result<Vec<String>> {
    match record_in(folder)? {
        Some(record) if record.engine == EngineKind::Compose => {
            compose::deployed::forget(platform, folder, &record, ids)
        }
        _ => Ok(vec![]),
    }
}

/// What was recorded of the platform in this folder; none when there is nothing.
///
/// # Errors
/// Refused when it is no record: which engine runs the platform is then unknown, and any guess might end the wrong one.
pub fn record_in(folder: &Path) -> Result<Option<Record>> {
    let path = record_of(folder);
    let Some(text) = files::if_there(files::text(&path, files::TEXT))? else { return Ok(None) };
    let record = serde_json::from_str(&text).map_err(|error| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        refused(format!(
            "{}: {error}; expected the record of what runs; restore it, or write {{\"environment\": \"{name}\", \
             \"engine\": ENGINE, \"ports\": {{}}}} into it, where ENGINE is what runs it now: \"process\" or \"compose\"; \
             then stop {name} and start it again",
            path.display()
        ))
    })?;
    Ok(Some(record))
}

/// The engine of a kind.
///
/// # Errors
/// Refused when there is none yet.
pub fn engine(kind: EngineKind) -> Result<&'static dyn AnyEngine> {
    match kind {
        EngineKind::Process => Ok(&process::Process),
        EngineKind::Compose => Ok(&compose::Compose),
        EngineKind::Kubernetes => {
            Err(refused("nothing runs on kubernetes from here yet; expected process or compose"))
        }
    }
}
