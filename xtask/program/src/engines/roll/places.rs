//! Which of its two places a service has that [runs beside itself](Platform::runs_beside_itself). Pure.

use std::collections::BTreeSet;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, Unit};

use crate::engines::roll::running::AllRunning;

/// The slots as the workers that serve know them.
pub fn now<'a>(platform: &'a Platform, environment: &Environment, running: &AllRunning) -> Vec<Unit<'a>> {
    one_of_each(platform, environment, |place| is_used(place, running))
}

/// The slots as the workers of the next release will know them: what changes is started in the place that none uses.
pub fn next<'a>(
    platform: &'a Platform,
    environment: &Environment,
    running: &AllRunning,
    unchanged: &BTreeSet<String>,
) -> Vec<Unit<'a>> {
    let slots = platform.slots(environment);
    let stays = |place: &Unit<'_>| unchanged.contains(&place.name());
    one_of_each(platform, environment, |place| {
        let some_stays = slots.iter().any(|other| other.service.id == place.service.id && stays(other));
        if some_stays { stays(place) } else { !is_used(place, running) }
    })
}

/// What runs in a place that no worker uses, while they use another.
pub fn idle(platform: &Platform, environment: &Environment, running: &AllRunning) -> Vec<String> {
    let used: Vec<String> = now(platform, environment, running).iter().map(Unit::name).collect();
    let slots = platform.slots(environment);
    let beside = slots.iter().filter(|unit| platform.runs_beside_itself(unit.service));
    let idle = beside.map(Unit::name).filter(|name| !used.contains(name) && running.contains_key(name));
    idle.collect()
}

/// The first place where this holds, else the first.
fn one_of_each<'a>(
    platform: &'a Platform,
    environment: &Environment,
    holds: impl Fn(&Unit<'a>) -> bool,
) -> Vec<Unit<'a>> {
    let slots = platform.slots(environment);
    let is_kept = |unit: &&Unit<'a>| {
        let places = || slots.iter().filter(|other| other.service.id == unit.service.id);
        let kept = places().find(|place| holds(place)).or_else(|| places().next());
        !platform.runs_beside_itself(unit.service) || kept.map(Unit::name) == Some(unit.name())
    };
    slots.iter().filter(is_kept).copied().collect()
}

/// Whether a worker that serves uses it.
fn is_used(place: &Unit<'_>, running: &AllRunning) -> bool {
    let name = place.name();
    let serving = running.values().filter(|one| !one.held);
    serving.flat_map(|one| &one.spec.after).any(|used| used.0 == name)
}
