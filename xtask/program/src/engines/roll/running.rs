//! What runs of an environment, as an engine finds it. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::Slot;
use crate::engines::process::instance::ReleaseId;
use runner::plan::argument::Arg;
use runner::plan::service::ProcessSpec;
use runner::supervisor::protocol::{HealthState, ServiceStatus, State};

/// A process or container as it was found.
#[derive(Debug, Clone)]
pub struct Running {
    pub status: ServiceStatus,
    /// How the supervisor was asked to run it; empty where a container runs.
    pub spec: ProcessSpec,
    /// The release that it was started from.
    pub release: Option<String>,
    /// What that says of itself, while it is there.
    pub identity: Option<ReleaseId>,
    /// Whether it waits to be admitted.
    pub held: bool,
}

/// By name.
pub type AllRunning = BTreeMap<String, Running>;

impl Running {
    /// What it is in its slot while this release is rolled out; `as_wanted` when it runs as it would be started now.
    pub fn slot(&self, release: &str, as_wanted: bool) -> Slot {
        let Self { status, release: its, held, .. } = self;
        let lives = matches!(status.state, State::Running | State::BackingOff);
        match (its.as_deref() == Some(release), held) {
            _ if !lives => Slot::Dead,
            (true, true) => Slot::Held,
            // It ends again and again.
            (true, false) if status.state == State::BackingOff => Slot::Dead,
            (true, false) if status.health != HealthState::Unhealthy && as_wanted => Slot::Serving,
            // The same release with other settings, or one that hangs.
            (true, false) => Slot::Old,
            // Another release that never served is nothing to go back to.
            (false, true) => Slot::Dead,
            (false, false) => Slot::Old,
        }
    }
}

/// The release that a process was started from.
pub fn release_of(spec: &ProcessSpec, releases: &Path) -> Option<String> {
    let words = spec.argv.iter().chain(spec.env.values()).filter_map(|word| match word {
        Arg::Literal(text) => Some(Path::new(text)),
        _ => None,
    });
    words.chain([spec.cwd.as_path()]).find_map(|path| release_in(path, releases))
}

/// The release in whose folder this path is.
pub fn release_in(path: &Path, releases: &Path) -> Option<String> {
    Some(path.strip_prefix(releases).ok()?.components().next()?.as_os_str().to_str()?.to_owned())
}
