//! What differs between an environment that runs and what was deployed to it. Observes, and changes nothing.

use std::collections::BTreeSet;

use anyhow::Result;
use runner::supervisor::protocol::State as Process;
use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Unit};
use vocabulary::problem::Problem;

use super::deployed::{State, report};
use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::releases::Installed;
use crate::engines::process::instance::ReleaseId;
use crate::engines::process::roll::files;
use crate::engines::roll::places::idle;
use crate::engines::roll::running::Running;
use foundation::program_name::PROGRAM;
use judges::site;

/// Every difference; `current` is the release that the history names.
///
/// # Errors
/// The environment's file in this tree cannot be read.
pub fn differences(
    context: &Context,
    deployed: &Deployed,
    state: &State,
    current: &str,
) -> Result<Vec<Problem>> {
    let platform = context.platform;
    let installed = Installed::at(&deployed.releases(), current);
    let mut found = installed.problems();
    found.extend(services(platform, state));
    found.extend(state.running.iter().filter_map(|(name, running)| {
        other_release(platform, &state.environment, deployed, (name, running), &installed)
    }));
    let release = ReleaseId {
        id: current.to_owned(),
        // When it cannot be read, that is a difference already.
        flows_rev: installed.release().map(|release| release.flows_rev).unwrap_or_default(),
    };
    for (name, running) in state.workers(platform) {
        if let Some(said) = report(platform, &running.status) {
            found.extend(says(name, &said, &release));
        }
    }
    found.extend(settings(context, deployed, &state.environment)?);
    Ok(found)
}

/// Services that are missing, have ended, are too many, or are held back.
fn services(platform: &Platform, state: &State) -> Vec<Problem> {
    let environment = &state.environment;
    let again = |problem: Problem| {
        problem.remedy(format!("run `{PROGRAM} deploy {} --version VERSION`", environment.name))
    };
    let units = platform.units(environment);
    let slots = platform.slots(environment);
    let stays = |unit: &&Unit<'_>| unit.service.lifetime != Lifetime::OneShot;
    let serves = |running: &Running| matches!(running.status.state, Process::Running | Process::BackingOff);
    let mut found = Vec::new();
    for unit in units.iter().filter(stays).filter(|unit| !platform.is_worker(unit)) {
        let mut places = slots.iter().filter(|slot| slot.service.id == unit.service.id);
        if !places.any(|place| state.running.get(&place.name()).is_some_and(serves)) {
            found.push(again(Problem::new(unit.name(), "not running").expected("a running service")));
        }
    }
    let workers = state.workers(platform);
    let wanted = units.iter().filter(|unit| platform.is_worker(unit)).count();
    let serving = workers.values().filter(|running| serves(running) && !running.held).count();
    if serving != wanted {
        let place = platform.workers.service().to_string();
        let seen = format!("{serving} replicas take requests");
        found.push(again(Problem::new(place, seen).expected(wanted.to_string())));
    }
    let held = workers.iter().filter(|(_, running)| running.held);
    found.extend(held.map(|(name, _)| again(Problem::new(*name, "still held, but no deploy is running"))));
    let known: BTreeSet<String> = slots.iter().filter(stays).map(Unit::name).collect();
    let extra = state.running.keys().filter(|name| !known.contains(*name));
    let idle = idle(platform, environment, &state.running);
    found.extend(
        extra.chain(&idle).map(|name| again(Problem::new(name.as_str(), "not part of the last deploy"))),
    );
    found
}

/// A worker of another release, or another service of one whose files differ: those that did not change may stay.
fn other_release(
    platform: &Platform,
    environment: &Environment,
    deployed: &Deployed,
    (name, running): (&str, &Running),
    current: &Installed,
) -> Option<Problem> {
    let its = running.release.as_deref().filter(|its| *its != current.id)?;
    let slots = platform.slots(environment);
    let unit = slots.iter().find(|unit| unit.name() == name)?;
    if !platform.is_worker(unit) {
        let its = Installed::at(&deployed.releases(), its);
        if files(&its, unit).is_some_and(|then| Some(then) == files(current, unit)) {
            return None;
        }
    }
    Some(Problem::new(name, format!("runs {its}")).expected(current.id.as_str()))
}

/// What a worker says that it runs.
fn says(name: &str, said: &serde_json::Value, expected: &ReleaseId) -> Vec<Problem> {
    let differs = |key: &str, what: &str, expected: &str| {
        let said = said[key].as_str().filter(|said| *said != expected)?;
        Some(Problem::new(name, format!("reports {what} {said}")).expected(expected))
    };
    let release = differs("release", "release", &expected.id);
    let flows = differs("rev", "flows", &expected.flows_rev).filter(|_| !expected.flows_rev.is_empty());
    release.into_iter().chain(flows).collect()
}

/// The settings in this tree that are not those that were deployed; none where the tree has no such environment. The files of
/// an installed release are those of its commit, which nobody edits.
fn settings(context: &Context, deployed: &Deployed, then: &Environment) -> Result<Option<Problem>> {
    if context.root.starts_with(&deployed.state) {
        return Ok(None);
    }
    let Ok(file) = site::named(&context.root, &deployed.name) else { return Ok(None) };
    let path = file.path;
    let now = match deployed.judged(context.platform, file.bytes) {
        Ok(now) => now,
        Err(error) => return Ok(Some(Problem::new(path, format!("{error:#}")))),
    };
    let (then, now) = (serde_json::to_value(then)?, serde_json::to_value(now)?);
    let keys: BTreeSet<&String> =
        [&then, &now].into_iter().filter_map(|one| one.as_object()).flatten().map(|(key, _)| key).collect();
    let changed: Vec<&str> = keys
        .into_iter()
        .filter(|key| then.get(key.as_str()) != now.get(key.as_str()))
        .map(String::as_str)
        .collect();
    Ok((!changed.is_empty()).then(|| {
        Problem::new(path, format!("changed since the last deploy: {}", changed.join(", ")))
            .remedy(format!("`{PROGRAM} deploy {}` applies them", deployed.name))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_asked_what_it_runs() {
        let expected = ReleaseId { id: "1.0.0-a".to_owned(), flows_rev: "abc".to_owned() };
        for (said, count) in [
            (serde_json::json!({ "release": "1.0.0-a", "rev": "abc" }), 0),
            (serde_json::json!({ "release": "1.0.0-a", "rev": "xyz" }), 1),
            (serde_json::json!({ "release": "1.1.0-b", "rev": "xyz" }), 2),
            // Before its flows run it has none.
            (serde_json::json!({ "status": "starting" }), 0),
        ] {
            assert_eq!(says("worker-a", &said, &expected).len(), count, "{said}");
        }
    }
}
