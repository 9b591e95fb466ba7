//! What was deployed here, started again as it was, and what comes before it is stopped. Pure.

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, ServiceId, Unit};

use super::deployed::is_of;
use super::observe::Observed;
use super::roll::{Surroundings, edge, exec, one_shot, others, release, staged, started, watching_files};
use crate::engines::process::lower::BringUp;
use crate::engines::roll::{Replica, Roll, Workers, leaves};
use runner::plan::action::Action;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// Starts the release that ran last: whatever the engine has started again by itself stays, wherever a roll has put it.
pub fn start(platform: &Platform, environment: &Environment, seen: &Observed) -> Plan<BringUp> {
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let slots = seen.deploy.slots(platform, environment);
    let mut steps = staged(around);
    let edge = edge(platform, around, &slots);
    steps.extend(edge.map_or_else(Vec::new, |edge| edge.files()));
    let workers = Workers::of(platform, environment, &seen.instance, around);
    let (serve, leave) = places(&workers, around);
    let is_target = |unit: &Unit<'_>| {
        !platform.is_worker(unit) || serve.iter().any(|serving| serving.name() == unit.name())
    };
    steps.extend(watching_files(around, &slots, &is_target));
    let mut needs = ids(&steps);
    let mut go_on = |steps: &mut Vec<Step<BringUp>>, more: Vec<Step<BringUp>>| {
        needs.extend(ids(&more));
        steps.extend(more);
        needs.clone()
    };
    let others = || others(platform, &slots).into_iter().filter(|unit| !platform.is_edge(unit));
    let is_database = |unit: &&Unit<'_>| unit.service.id == platform.database.port.service;
    let mut ready = go_on(&mut steps, vec![]);
    for unit in others().filter(is_database) {
        ready = go_on(&mut steps, started(around, unit, ready));
    }
    for unit in others().filter(|unit| unit.service.lifetime == Lifetime::OneShot) {
        ready = go_on(&mut steps, vec![one_shot(around, unit, ready)]);
    }
    let later = others().filter(|unit| unit.service.lifetime != Lifetime::OneShot && !is_database(unit));
    ready = go_on(&mut steps, later.flat_map(|unit| started(around, unit, ready.clone())).collect());
    let leave = leave.into_iter().map(|unit| {
        let title = leaves(platform, environment, unit);
        Step {
            needs: ready.clone(),
            ..Step::new(format!("{}.stop", unit.name()), title, around.remove(&unit.name()))
        }
    });
    let serving = serve.iter().flat_map(|unit| {
        let freed = freed(around, unit, ready.clone());
        let needs = vec![freed.id.clone()];
        std::iter::once(freed).chain(started(around, unit, needs))
    });
    ready = go_on(&mut steps, leave.chain(serving).collect());
    for unit in slots.iter().filter(|unit| platform.is_edge(unit)) {
        ready = go_on(&mut steps, started(around, unit, ready));
    }
    if let Some(edge) = edge {
        let reload = edge.reload(&format!("{}.start", edge.unit.name()));
        ready = go_on(&mut steps, reload.into_iter().collect());
        // It may have been taken out of the edge by a deploy that was killed.
        let release = release(seen);
        steps.extend(serve.iter().filter(|_| edge.runs).map(|unit| {
            let replica = Replica { name: unit.name(), release: release.to_owned() };
            let title = format!("{} takes requests and tasks", unit.name());
            let action = Action::Native(BringUp::Roll(Roll::Admit(replica)));
            Step { needs: ready.clone(), ..Step::new(format!("{}.admit", unit.name()), title, action) }
        }));
    }
    Plan {
        intent: format!("start {} in containers of {}", environment.name, seen.project.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

fn ids(steps: &[Step<BringUp>]) -> Vec<StepId> {
    steps.iter().map(|step| step.id.clone()).collect()
}

/// Where the replicas are to serve: where those of the release are already, and else in the first slots; and the slots with
/// something that is not to serve.
fn places<'a>(workers: &'a Workers<'a>, around: &Surroundings<'_>) -> (Vec<&'a Unit<'a>>, Vec<&'a Unit<'a>>) {
    let found = |unit: &Unit<'_>| around.deploy.containers.get(&unit.name());
    let is_own = |unit: &&Unit<'_>| {
        let running = found(unit).map(|found| &found.running);
        running.is_some_and(|one| one.release.as_deref() == Some(release(around.seen)) && !one.held)
    };
    let (mut serve, mut others): (Vec<&Unit<'_>>, Vec<&Unit<'_>>) = workers.slots.iter().partition(is_own);
    others.sort_by_key(|unit| found(unit).is_some());
    let more = workers.wanted.saturating_sub(serve.len()).min(others.len());
    let left = others.split_off(more);
    serve.extend(others);
    let surplus = serve.split_off(workers.wanted.min(serve.len()));
    (serve, left.into_iter().chain(surplus).filter(|unit| found(unit).is_some()).collect())
}

/// What a deploy that was killed has left in the way of a replica.
fn freed(around: &Surroundings<'_>, unit: &Unit<'_>, needs: Vec<StepId>) -> Step<BringUp> {
    let (name, instance) = (unit.name(), &around.seen.instance);
    let files = [instance.held(&name), instance.withdrawn(&name)].map(|path| path.display().to_string());
    let argv = ["rm", "-f", "--"].map(str::to_owned).into_iter().chain(files);
    Step {
        needs,
        ..Step::new(
            format!("{name}.free"),
            format!("let {name} take requests and tasks, whatever an earlier deploy has left"),
            Action::Exec(exec(argv.collect())),
        )
    }
}

/// What comes before everything else is stopped: the edge finishes its requests, and then the replicas their work.
pub fn finished(platform: &Platform, seen: &Observed) -> Vec<Step<BringUp>> {
    let environment = &Environment { name: seen.target.clone(), ..Environment::default() };
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let ended = |service: ServiceId, needs: Vec<StepId>| {
        let names = seen.deploy.containers.keys().filter(move |name| is_of(name, service));
        names.map(move |name| {
            let title = format!("{name} finishes its work and stops");
            Step { needs: needs.clone(), ..Step::new(format!("{name}.stop"), title, around.remove(name)) }
        })
    };
    let mut steps: Vec<_> = ended(platform.edge.service(), vec![]).collect();
    steps.extend(ended(platform.workers.service(), ids(&steps)).collect::<Vec<_>>());
    steps
}

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engines::compose::deployed::Container;
    use crate::engines::compose::lower::bring_down;
    use crate::engines::compose::roll::tests::{TWO, qa, seen, serving};
    use crate::engines::roll::tests::done;

    fn started(containers: BTreeMap<String, Container>) -> Vec<String> {
        let ((platform, environment), seen) = (qa(), seen(containers, None));
        let plan = start(&platform, &environment, &seen);
        assert_eq!(plan.validate(), [""; 0]);
        done(&plan, None)
    }

    fn of_workers(ids: &[String]) -> Vec<&str> {
        ids.iter().map(String::as_str).filter(|id| id.starts_with("flow-engine-")).collect()
    }

    #[test]
    fn what_others_use_starts_first_and_the_edge_last() {
        let ids = started(BTreeMap::new());
        let at = |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
        let order = [
            "load-images",
            "store.start",
            "schema.run",
            "oracle.start",
            "flow-engine-b.start",
            "portal.start",
        ];
        assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{ids:?}");
        assert!(!ids.iter().any(|id| id.contains("smoke") || id.contains("flow-engine-c")), "{ids:?}");
        assert!(!ids.iter().any(|id| id.ends_with(".admit")), "a new edge knows them all: {ids:?}");
    }

    #[test]
    fn replicas_of_the_release_stay_where_they_are_and_what_never_served_ends() {
        let own = |(name, mut one): (String, Container)| {
            one.running.release = Some("2.0.0-b".to_owned());
            (name, one)
        };
        let held = |(name, mut one): (String, Container)| {
            one.running.held = true;
            (name, one)
        };
        let ids = started([own(serving("flow-engine-b")), own(serving("flow-engine-c"))].into());
        assert!(
            ids.iter().any(|id| id == "flow-engine-c.start") && !ids.iter().any(|id| id.contains("engine-a"))
        );
        // A deploy that was killed has left its first replica.
        let left = [
            own(serving("flow-engine-a")),
            own(serving("flow-engine-b")),
            held(serving("flow-engine-c")),
            serving("portal"),
        ];
        let ids = started(left.into());
        let of = of_workers(&ids);
        assert!(of.contains(&"flow-engine-c.stop") && !of.contains(&"flow-engine-c.free"), "{of:?}");
        assert!(
            of.contains(&"flow-engine-a.admit"),
            "the edge may have been told to send it nothing: {of:?}"
        );
        let ids = started([own(serving("flow-engine-a")), held(own(serving("flow-engine-c")))].into());
        let of = of_workers(&ids);
        assert!(of.contains(&"flow-engine-b.start") && of.contains(&"flow-engine-c.stop"), "{of:?}");
    }

    #[test]
    fn the_edge_ends_before_the_replicas_and_these_before_what_they_use() {
        let (platform, _) = qa();
        let seen = seen(TWO.iter().map(|name| serving(name)).collect(), None);
        let plan = bring_down(finished(&platform, &seen), "qa", "/s".into(), &seen.project, false);
        assert_eq!(plan.validate(), [""; 0]);
        let order = ["portal.stop", "flow-engine-a.stop", "flow-engine-b.stop", "down", "shutdown"];
        assert_eq!(done(&plan, None), order);
        assert!(!plan.text().contains("--volumes"), "{}", plan.text());
    }
}
