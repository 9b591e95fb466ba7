//! Proves that what runs can work with the schema of the next release, before that changes the real database: on a scratch
//! database with the new schema, a replica of the running release has to pass its smoke. Pure.

use std::path::Path;

use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;

use super::{Replica, Roll, START_LIMIT_MS, Slot, Workers};
use crate::deployment::releases::Installed;
use crate::engines::process::instance::{Instance, ReleaseId};
use crate::engines::process::lower::BringUp;
use crate::engines::process::roll::files;
use runner::plan::action::{Action, Write};
use runner::plan::step::{Step, StepId};

/// The step after which the real database may change.
pub const LAST: &str = "schema.discard";

/// The name of the scratch database.
pub fn scratch(platform: &Platform) -> String {
    format!("{}_next", platform.database.name)
}

/// Where a proof has to be given, as indexes of slots: a free one, and one in which the running release serves. When a
/// replica of the new release was started already, it was given before.
pub fn places(workers: &Workers<'_>) -> Option<(usize, usize)> {
    let kinds = workers.kinds();
    if kinds.iter().any(|kind| matches!(kind, Slot::Serving | Slot::Held)) {
        return None;
    }
    let free = kinds.iter().position(|kind| matches!(kind, Slot::Free | Slot::Dead))?;
    Some((free, kinds.iter().position(|kind| *kind == Slot::Old)?))
}

/// How an engine gives the proof.
pub struct Proof<'a> {
    pub platform: &'a Platform,
    pub instance: &'a Instance,
    /// The release that runs.
    pub running: &'a ReleaseId,
    /// Where its replica is started.
    pub place: String,
    /// Ends what a killed run has left there.
    pub vacate: Option<Action<BringUp>>,
    /// Makes the scratch database with the new schema, and drops it.
    pub migrate: Action<BringUp>,
    /// Runs the contract migrations on it that the real one has, or is to have.
    pub contract: Option<Action<BringUp>>,
    pub discard: Action<BringUp>,
    /// Starts the replica on it, and ends it. The titles are given here.
    pub start: Vec<Action<BringUp>>,
    pub stop: Vec<Action<BringUp>>,
}

impl Proof<'_> {
    /// The steps, one after the other, behind these.
    pub fn steps(self, needs: Vec<StepId>) -> Vec<Step<BringUp>> {
        let Self { running, place, discard, .. } = &self;
        let scratch = scratch(self.platform);
        let step = |what: &str, title: String, action: Action<BringUp>| Step {
            remedy: Some(format!(
                "make the migrations compatible with {}, which serves while they run and afterwards",
                running.id
            )),
            ..Step::new(format!("schema.{what}"), title, action)
        };
        let native = |act: fn(Replica) -> Roll| {
            Action::Native(BringUp::Roll(act(Replica { name: place.clone(), release: running.id.clone() })))
        };
        let left = self.vacate.clone();
        let left = left.map(|end| step("vacate", format!("end what a killed run left as {place}"), end));
        let mut steps: Vec<_> = left.into_iter().collect();
        steps.extend([
            step("clear", format!("drop what is left of {scratch}"), discard.clone()),
            Step {
                undo: Some(discard.clone()),
                ..step("migrate", format!("make {scratch} with the new schema"), self.migrate.clone())
            },
        ]);
        let contract = self.contract.clone();
        steps.extend(
            contract.map(|contract| {
                step("contract", format!("run the contract migrations on {scratch}"), contract)
            }),
        );
        steps.push(step(
            "hold",
            format!("hold {place} back: no requests and no tasks"),
            Action::Write(Write {
                path: self.instance.held(place),
                contents: running.id.as_str().into(),
                mode: 0o600,
            }),
        ));
        let numbered = |what: &str, index: usize| match index {
            0 => what.to_owned(),
            _ => format!("{what}-{}", index + 1),
        };
        for (index, action) in self.start.iter().enumerate() {
            steps.push(Step {
                undo: self.stop.get(index).cloned(),
                ..step(
                    &numbered("start", index),
                    format!("start {place} with {} on {scratch}", running.id),
                    action.clone(),
                )
            });
        }
        steps.extend([
            Step {
                time_limit_ms: START_LIMIT_MS,
                ..step("verify", format!("{} starts on the new schema", running.id), native(Roll::Verify))
            },
            step("smoke", format!("{} passes its smoke on the new schema", running.id), native(Roll::Smoke)),
        ]);
        for (index, action) in self.stop.iter().enumerate() {
            steps.push(step(&numbered("stop", index), format!("stop {place}"), action.clone()));
        }
        steps.push(Step::new(LAST, format!("drop {scratch}"), discard.clone()));
        steps[0].needs = needs;
        for index in 1..steps.len() {
            steps[index].needs = vec![steps[index - 1].id.clone()];
        }
        steps
    }
}

/// Whether a release has migrations that the running one has not, and that its deploy runs. A release that has fewer changes
/// nothing: what the database has already stays.
pub fn changes(platform: &Platform, environment: &Environment, instance: &Instance, running: &str) -> bool {
    let units = platform.units(environment);
    let Some(migrations) = units.iter().find(|unit| unit.service.id == platform.database.migrations) else {
        return false;
    };
    let Some(next) = instance.root.parent().map(Installed::in_folder) else { return true };
    let running = Installed::at(&instance.releases(), running);
    let [running, next] = [running, next].map(|release| files(&release, migrations));
    // What cannot be compared may change everything.
    let (Some(running), Some(next)) = (running, next) else { return true };
    let waits = |path: &str| {
        platform.database.contract.is_some_and(|contract| Path::new(path).starts_with(contract.folder))
    };
    next.keys().any(|path| !running.contains_key(path) && !waits(path))
}
