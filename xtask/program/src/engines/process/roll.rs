//! The roll on this engine: processes of this machine, under our supervisor. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Unit};

use super::instance::ReleaseId;
use super::lower::{
    BringUp, NODE, Surroundings, edge, edge_files, id, long_running, one_shot, prepare, process_of,
    read_when_ready, ready, spec,
};
use super::monitoring::{self, Watching};
use super::observe::Observed;
use super::resolve::Resolver;
use super::schema;
use crate::deployment::releases::Installed;
use crate::engines::roll::{self, Replicas, Slot, Workers, leaves, places};
use runner::plan::action::{Action, ServiceRequest, Supervise};
use runner::plan::service::ProcessSpec;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The plan that replaces the replicas of the workers, and brings everything else up to date.
pub fn roll_out(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watch: Duration,
) -> Plan<BringUp> {
    let slots = places::next(platform, environment, &seen.running, &seen.unchanged);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let is_worker = |unit: &&Unit<'_>| platform.is_worker(unit);
    let mut steps = prepare(around);
    steps.extend(edge_files(around));
    let runs = |unit: &Unit<'_>| seen.running.contains_key(&unit.name());
    let watching = monitoring::watching(around);
    let is_target = |unit: &Unit<'_>| !platform.is_worker(unit) || runs(unit);
    steps.extend(watching.iter().flat_map(|watching| watching.files(&is_target)));
    let mut others: Vec<StepId> = Vec::new();
    for unit in slots.iter().filter(|unit| !is_worker(unit)) {
        match unit.service.lifetime {
            Lifetime::OneShot => {
                others.push(format!("{}.run", unit.name()).into());
                steps.push(one_shot(around, unit));
            }
            Lifetime::LongRunning { .. } | Lifetime::StandIn => {
                others.push(format!("{}.ready", unit.name()).into());
                if seen.unchanged.contains(&unit.name()) {
                    steps.push(Step { needs: vec![], ..ready(around, unit) });
                    continue;
                }
                let mut started = long_running(around, unit);
                let name = unit.name();
                let running = seen.running.get(&name);
                let undo = match running.map(|running| Box::new(running.spec.clone())) {
                    Some(spec) => Some(ServiceRequest::Start(spec)),
                    None if platform.runs_beside_itself(unit.service) => {
                        Some(ServiceRequest::Remove(name.as_str().into()))
                    }
                    None => None,
                };
                let id = format!("{name}.start");
                let starts = started.iter_mut().filter(|step| step.id.0 == id);
                starts.for_each(|step| step.undo = undo.clone().map(|request| around.supervise(request)));
                steps.extend(started);
            }
        }
    }
    read_when_ready(around, &mut steps);
    let reload = edge(around).and_then(|edge| edge.reload(&format!("{}.ready", edge.unit.name())));
    others.extend(reload.map(|step| {
        let id = step.id.clone();
        steps.push(step);
        id
    }));
    if let Some(edge) = edge(around) {
        let own = format!("{}.", edge.unit.name());
        let ready = others.iter().filter(|id| id.0.starts_with(&own)).cloned().collect();
        let certified = edge.certified(environment, ready);
        others.extend(certified.iter().map(|step| step.id.clone()));
        steps.extend(certified);
    }
    let workers = Workers::of(platform, environment, &seen.instance, around);
    steps.extend(proof(around, &workers));
    if steps.iter().any(|step| step.id.0 == roll::schema::LAST) {
        let migrations = format!("{}.run", platform.database.migrations);
        let changes = steps.iter_mut().filter(|step| step.id.0 == migrations);
        changes.for_each(|step| step.needs.push(roll::schema::LAST.into()));
    }
    others.extend(watching.iter().map(|watching| watching.keep_id()));
    others.extend([id::RECORD, id::INSTALL_MODULES, id::MAKE_SECRETS].map(StepId::from));
    steps.extend(workers.roll(others, watch));
    let scraper_runs = |watching: &Watching<'_>| seen.unchanged.contains(&watching.scraper.name());
    if let Some(configure) = watching.filter(scraper_runs).map(|watching| watching.configure_id()) {
        // A release that is rolled back must not have brought its rules.
        roll::come_last(&mut steps, |step| step.id == configure);
    }
    Plan {
        intent: format!("roll {} out to {}", release(seen), environment.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Undo,
    }
}

/// The proof that what serves can work with the new schema, where it has to be given.
fn proof(around: &Surroundings<'_>, workers: &Workers<'_>) -> Vec<Step<BringUp>> {
    let (seen, Resolver { platform, environment, .. }) = (around.seen, &around.resolver);
    let slots = &workers.slots;
    // It uses what the running release uses.
    let units = &places::now(platform, environment, &seen.running);
    let around = &Surroundings { resolver: Resolver { units, ..around.resolver }, ..*around };
    let Some((free, old)) = roll::schema::places(workers) else { return vec![] };
    let running = seen.running.get(&slots[old].name()).and_then(|running| running.identity.as_ref());
    let changes =
        |running: &&ReleaseId| roll::schema::changes(platform, environment, &seen.instance, &running.id);
    running.filter(changes).map_or_else(Vec::new, |running| schema::proof(around, running, &slots[free]))
}

fn release(seen: &Observed) -> &str {
    seen.instance.release.as_ref().map_or("", |release| release.id.as_str())
}

impl Replicas for Surroundings<'_> {
    fn slot(&self, unit: &Unit<'_>) -> Slot {
        let Some(running) = self.seen.running.get(&unit.name()) else { return Slot::Free };
        // A dry run has the release elsewhere.
        let own = Installed::at(&self.seen.instance.releases(), release(self.seen)).tree();
        let roots = [own, self.seen.instance.root.clone()];
        running.slot(release(self.seen), is_same(&running.spec, &spec(self, unit), &roots))
    }

    fn release(&self, unit: &Unit<'_>) -> String {
        self.seen.running.get(&unit.name()).and_then(|running| running.release.clone()).unwrap_or_default()
    }

    fn start(&self, unit: &Unit<'_>, needs: Vec<StepId>) -> Vec<Step<BringUp>> {
        let name = unit.name();
        let started = Step {
            needs,
            undo: Some(self.supervise(ServiceRequest::Remove(name.as_str().into()))),
            ..Step::new(
                format!("{name}.start"),
                format!("start {name} with {}", release(self.seen)),
                self.supervise(ServiceRequest::Start(Box::new(spec(self, unit)))),
            )
        };
        let watching = monitoring::watching(self);
        let target = watching.into_iter().flat_map(|watching| watching.appears(unit, started.id.clone()));
        let target: Vec<_> = target.map(|(_, step)| step).collect();
        std::iter::once(started).chain(target).collect()
    }

    fn stop(&self, unit: &Unit<'_>, needs: Vec<StepId>, comes_back: bool) -> Vec<Step<BringUp>> {
        let name = unit.name();
        let running = self.seen.running.get(&name).filter(|_| comes_back);
        let stopped = Step {
            needs,
            undo: running
                .map(|running| self.supervise(ServiceRequest::Start(Box::new(running.spec.clone())))),
            ..Step::new(
                format!("{name}.stop"),
                leaves(self.resolver.platform, self.resolver.environment, unit),
                self.supervise(ServiceRequest::Remove(name.as_str().into())),
            )
        };
        let watching = monitoring::watching(self);
        let target = watching.map_or_else(Vec::new, |watching| watching.leaves(unit, stopped.id.clone()));
        std::iter::once(stopped).chain(target).collect()
    }
}

impl Surroundings<'_> {
    fn supervise(&self, request: ServiceRequest) -> Action<BringUp> {
        Action::Supervise(Supervise { state: self.resolver.instance.supervisor(), request })
    }
}

/// The units that run already what they would run with the new release: neither their spec nor their files differ.
pub fn unchanged(platform: &Platform, environment: &Environment, seen: &Observed) -> BTreeSet<String> {
    let slots = platform.slots(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let same = |unit: &&Unit<'_>| {
        let found = seen.running.get(&unit.name())?;
        let Some(before) = &found.release else { return Some(found.spec == spec(around, unit)) };
        let releases = seen.instance.releases();
        let before = Installed::at(&releases, before);
        let after = Installed::in_folder(seen.instance.root.parent()?);
        let roots = [before.tree(), after.tree()];
        let same_files = files(&before, unit)? == files(&after, unit)?;
        Some(is_same(&found.spec, &spec(around, unit), &roots) && same_files)
    };
    let others = slots.iter().filter(|unit| !platform.is_worker(unit));
    others.filter(|unit| same(unit).unwrap_or_default()).map(Unit::name).collect()
}

/// Whether a process would be another one if it were started again: its spec differs by more than the folder of the
/// release.
fn is_same(old: &ProcessSpec, new: &ProcessSpec, roots: &[PathBuf; 2]) -> bool {
    let [from, to] = roots.each_ref().map(|root| root.display().to_string());
    let text = |spec| serde_json::to_string(spec).unwrap_or_default();
    text(old).replace(&from, &to) == text(new)
}

/// The digests of the files of a release that a unit runs; none when they cannot be had.
pub fn files(release: &Installed, unit: &Unit<'_>) -> Option<BTreeMap<String, String>> {
    let mut files = release.tree_digests().ok()?;
    files.retain(|path, _| sources(unit).any(|source| Path::new(path).starts_with(source)));
    Some(files)
}

/// The paths of what a unit runs: when they are the same in two releases, it is the same. npm packages are Node's.
fn sources<'a>(unit: &'a Unit<'_>) -> impl Iterator<Item = &'a str> {
    let process = process_of(unit);
    let own = process.on_change.iter().flat_map(|change| change.paths.iter().copied());
    let runs_node = process.commands.iter().any(|command| command.program == NODE);
    own.chain(runs_node.then_some("flows/package-lock.json"))
}

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
mod tests {
    use runner::plan::service::LogFile;
    use vocabulary::model::environment::{SecretsIn, Size, Tier};

    use super::*;
    use crate::engines::process::instance::{Instance, sockets};
    use crate::engines::process::observe::edge_configuration;
    use crate::engines::roll::WATCH;
    use crate::engines::roll::running::Running;
    use crate::engines::roll::tests::{done, healthy};

    const PROGRAMS: [&str; 9] =
        ["dbmate", "haproxy", "initdb", "node", "pg_isready", "postgres", "psql", "sh", "xtask"];

    fn seen(platform: &Platform, environment: &Environment, serving: &[&str]) -> Observed {
        let slots = platform.slots(environment);
        let ports = sockets(&slots, environment).into_iter().map(|socket| socket.key).zip(20_000..).collect();
        let edge = edge_configuration(platform, environment, &slots, &ports, Path::new("/site")).unwrap();
        let of = |id: &str| ReleaseId { id: id.to_owned(), flows_rev: "f".repeat(64) };
        let running = |name: &&str| {
            let status = healthy(name);
            let spec = ProcessSpec {
                name: status.name.clone(),
                argv: vec!["/bin/old".into()],
                cwd: "/".into(),
                log: LogFile { path: "/log".into(), ..LogFile::default() },
                ..ProcessSpec::default()
            };
            let (release, identity) = (Some("1.0.0-a".to_owned()), Some(of("1.0.0-a")));
            ((*name).to_owned(), Running { status, spec, release, identity, held: false })
        };
        Observed {
            instance: Instance {
                root: "/state/qa/releases/2.0.0-b/tree".into(),
                folder: "/state/qa".into(),
                ports,
                release: Some(of("2.0.0-b")),
            },
            target: "qa".to_owned(),
            programs: PROGRAMS.map(|name| (name, vec![format!("/bin/{name}")])).into(),
            edge,
            runs: !serving.is_empty(),
            running: serving.iter().map(running).collect(),
            ..Observed::default()
        }
    }

    fn qa() -> (Platform, Environment) {
        let platform = second_platform::platform();
        let replicas = Size { replicas: Some(2), ..Size::default() };
        let sizes = [(platform.workers.service().to_string(), replicas)].into();
        let environment =
            Environment { name: "qa".to_owned(), tier: Tier::Staging, sizes, ..Environment::default() };
        (platform, environment)
    }

    fn plan(serving: &[&str]) -> Plan<BringUp> {
        let (platform, environment) = qa();
        let plan = roll_out(&platform, &environment, &seen(&platform, &environment, serving), WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        plan
    }

    #[test]
    fn what_scrapes_is_configured_before_it_starts_and_otherwise_when_all_else_is_done() {
        let (platform, mut environment) = qa();
        environment.with.push("lookout".to_owned());
        let scraper = platform.monitoring.unwrap().scraper.service.to_string();
        let configure = format!("{scraper}.configure");
        let rolled = |unchanged: bool, fails| {
            let seen = seen(&platform, &environment, &["flow-engine-a", &scraper]);
            let unchanged = unchanged.then(|| scraper.clone()).into_iter().collect();
            let plan = roll_out(&platform, &environment, &Observed { unchanged, ..seen }, WATCH);
            assert_eq!(plan.validate(), [""; 0]);
            done(&plan, fails)
        };
        let first = rolled(false, None);
        let at = |id: &str| first.iter().position(|one| one == id).unwrap();
        assert!(at(&configure) < at(&format!("{scraper}.start")), "{first:?}");
        assert_eq!(rolled(true, None).last(), Some(&configure));
        assert!(!rolled(true, Some("watch")).contains(&configure));
    }

    fn of_workers(ids: Vec<String>) -> Vec<String> {
        ids.into_iter().filter(|id| id.contains("flow-engine-") || id == "watch").collect()
    }

    #[test]
    fn a_dry_run_finds_the_release_that_runs_already() {
        let platform = second_platform::platform();
        let environment =
            Environment { name: "qa".to_owned(), tier: Tier::Staging, ..Environment::default() };
        let slots = platform.slots(&environment);
        let worker = slots.iter().find(|unit| platform.is_worker(unit)).unwrap();
        let of = |seen: &Observed, act: &dyn Fn(&Surroundings<'_>) -> Slot| {
            let resolver = Resolver {
                platform: &platform,
                environment: &environment,
                instance: &seen.instance,
                units: &slots,
            };
            act(&Surroundings { resolver, seen, watches: false, inspect: None })
        };
        let mut seen = seen(&platform, &environment, &[&worker.name()]);
        let mut runs = ProcessSpec::default();
        let resolver = Resolver {
            platform: &platform,
            environment: &environment,
            instance: &seen.instance,
            units: &slots,
        };
        runs.clone_from(&spec(
            &Surroundings { resolver, seen: &seen, watches: false, inspect: None },
            worker,
        ));
        let found = seen.running.get_mut(&worker.name()).unwrap();
        (found.spec, found.release) = (runs, Some("2.0.0-b".to_owned()));
        let slot = |around: &Surroundings<'_>| around.slot(worker);
        assert_eq!(of(&seen, &slot), Slot::Serving);
        seen.instance.root = "/tmp/dry-run/2.0.0-b/tree".into();
        assert_eq!(of(&seen, &slot), Slot::Serving);
        seen.running.get_mut(&worker.name()).unwrap().spec.argv.push("--more".into());
        assert_eq!(of(&seen, &slot), Slot::Old);
    }

    #[test]
    fn the_first_release_starts_each_replica_in_turn() {
        let ids = of_workers(done(&plan(&[]), None));
        let wanted = ["hold", "start", "verify", "smoke", "admit"];
        let replicas = ["a", "b"].into_iter();
        let mut expected: Vec<_> = replicas
            .flat_map(|replica| wanted.iter().map(move |what| format!("flow-engine-{replica}.{what}")))
            .collect();
        expected.push("watch".to_owned());
        assert_eq!(ids, expected);
    }

    #[test]
    fn a_release_that_fails_when_it_is_watched_leaves_while_an_old_replica_still_serves() {
        let plan = plan(&["flow-engine-a", "flow-engine-b"]);
        // Without the files of the releases, the schema has to be proven.
        assert!(plan.steps.iter().any(|step| step.id.0 == roll::schema::LAST));
        let ids = of_workers(done(&plan, Some("watch")));
        let watched = ids.iter().position(|id| id == "watch").unwrap();
        let touched = |id: &String| id.contains("flow-engine-b");
        assert!(!ids.iter().any(touched), "the last old replica is as it was: {ids:?}");
        let undone: Vec<&str> = ids[watched + 1..].iter().map(String::as_str).collect();
        assert_eq!(
            undone,
            [
                "undo flow-engine-a.admit",
                "undo flow-engine-a.start",
                "undo flow-engine-a.stop",
                "undo flow-engine-a.drain",
                "undo flow-engine-c.admit",
                "undo flow-engine-c.start",
            ]
        );
    }

    /// A roll while these workers use a ledger in this place; also where the new one is started, and the plan.
    fn beside(used: &str, unchanged: &[&str], more: &[&str]) -> (Vec<String>, Plan<BringUp>) {
        let platform = second_platform::platform();
        let environment =
            Environment { name: "qa".to_owned(), tier: Tier::Staging, ..Environment::default() };
        let mut seen = seen(&platform, &environment, &[&["flow-engine-a", used], more].concat());
        seen.running.get_mut("flow-engine-a").unwrap().spec.after = vec![used.into()];
        seen.unchanged = unchanged.iter().map(|name| (*name).to_owned()).collect();
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        let started = plan.steps.iter().map(|step| step.id.0.clone());
        (started.filter(|id| id.starts_with("ledger") && id.ends_with(".start")).collect(), plan)
    }

    #[test]
    fn a_service_of_the_workers_alone_is_replaced_beside_the_old_one() {
        for (used, unchanged, more, started) in [
            ("ledger", &[][..], &[][..], &["ledger-b.start"][..]),
            ("ledger-b", &[], &[], &["ledger.start"]),
            // As a killed deploy leaves it: of the same release, or of another one.
            ("ledger", &["ledger-b"], &["ledger-b"], &[]),
            ("ledger", &[], &["ledger-b"], &["ledger-b.start"]),
            ("ledger", &["ledger"], &[], &[]),
            ("ledger", &["ledger"], &["ledger-b"], &[]),
        ] {
            assert_eq!(beside(used, unchanged, more).0, started, "{used} {unchanged:?} {more:?}");
        }
        let (_, plan) = beside("ledger", &[], &[]);
        let failed = done(&plan, Some("flow-engine-b.verify"));
        let touched: Vec<_> = failed.iter().filter(|id| id.contains("ledger")).collect();
        assert_eq!(touched, ["ledger-b.start", "ledger-b.ready", "undo ledger-b.start"], "{failed:?}");
    }

    #[test]
    fn a_replica_is_scraped_from_its_start_to_its_end() {
        let platform = second_platform::platform();
        let environment = Environment {
            name: "qa".to_owned(),
            tier: Tier::Staging,
            with: vec!["lookout".to_owned()],
            sizes: [("flow-engine".to_owned(), Size { replicas: Some(2), ..Size::default() })].into(),
            ..Environment::default()
        };
        let seen =
            seen(&platform, &environment, &["flow-engine-a", "flow-engine-b", "ledger", "watch", "herald"]);
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        let before = |id: &str| plan.steps.iter().position(|step| step.id.0 == id).unwrap_or(usize::MAX);
        let order = [
            "watch.keep",
            "flow-engine-c.start",
            "flow-engine-c.target-0",
            "flow-engine-c.verify",
            "flow-engine-a.stop",
            "flow-engine-a.no-target-0",
            "flow-engine-a.start",
            "flow-engine-a.target-0",
        ];
        assert!(order.map(before).is_sorted(), "{:?}", order.map(before));
        assert_ne!(before("flow-engine-a.target-0"), usize::MAX);
        // The targets before that are those of what runs.
        let keep = &plan.steps[before("watch.keep")];
        let text = serde_json::to_string(&keep.action).unwrap();
        assert!(text.contains("flow-engine.flow-engine-a.json"), "{text}");
        assert!(!text.contains("flow-engine-c.json") && text.contains("ledger.ledger.json"), "{text}");
        // If it fails, the new one is a target no more, and the old one is one again.
        let failed = done(&plan, Some("flow-engine-c.verify"));
        assert!(failed.contains(&"undo flow-engine-c.target-0".to_owned()), "{failed:?}");
    }

    #[test]
    fn old_and_new_workers_use_their_own() {
        let (_, plan) = beside("ledger", &[], &[]);
        let uses = |id: &str| {
            let step = plan.steps.iter().find(|step| step.id.0 == id).unwrap();
            let Action::Supervise(Supervise { request: ServiceRequest::Start(spec), .. }) = &step.action
            else {
                panic!("{id}: {:?}", step.action)
            };
            spec.after
                .iter()
                .map(|name| name.0.clone())
                .filter(|name| name.contains("ledger"))
                .collect::<Vec<_>>()
        };
        assert_eq!(uses("schema.start"), ["ledger"], "the proof is about what serves");
        assert_eq!(uses("flow-engine-b.start"), ["ledger-b"]);
    }

    #[test]
    fn nothing_that_serves_is_touched_when_the_first_new_replica_fails() {
        let plan = plan(&["flow-engine-a", "flow-engine-b"]);
        for fails in ["schema.smoke", "flow-engine-c.verify", "flow-engine-c.smoke"] {
            let ids = done(&plan, Some(fails));
            let touched = |id: &&String| id.contains("flow-engine-a") || id.contains("flow-engine-b");
            assert_eq!(ids.iter().find(touched), None, "{fails}: {ids:?}");
        }
    }

    #[test]
    fn nothing_but_the_secret_store_starts_before_the_secrets_are_read() {
        let platform = second_platform::platform();
        let secret_store = SecretsIn::Vault;
        let environment = Environment {
            name: "qa".to_owned(),
            tier: Tier::Staging,
            secret_store,
            ..Environment::default()
        };
        let seen = seen(&platform, &environment, &[]);
        for plan in [
            roll_out(&platform, &environment, &seen, WATCH),
            super::super::lower::bring_up(&platform, &environment, &seen, false, None),
        ] {
            assert_eq!(plan.validate(), [""; 0]);
            let ids = done(&plan, None);
            let at =
                |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
            let read = at(id::MAKE_SECRETS);
            assert!(at("vault.ready") < read, "{ids:?}");
            // Undone or killed there, it has started the store alone.
            let failed = done(&plan, Some(id::MAKE_SECRETS));
            let started: Vec<_> = failed.iter().filter(|id| id.ends_with(".start")).collect();
            assert_eq!(started, ["vault.start"], "{failed:?}");
        }
    }

    #[test]
    fn an_edge_with_another_configuration_reads_the_earlier_one_again() {
        let platform = second_platform::platform();
        let environment =
            Environment { name: "qa".to_owned(), tier: Tier::Staging, ..Environment::default() };
        let mut seen = seen(&platform, &environment, &["flow-engine-a", "portal"]);
        seen.edge_before = Some("as before".to_owned());
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        let undone = done(&plan, Some("watch"));
        assert!(undone.iter().any(|id| id == "undo portal.write-portal.cfg"), "{undone:?}");
        seen.edge_before = None;
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        let undone = done(&plan, Some("watch"));
        assert!(!undone.iter().any(|id| id.starts_with("undo portal.write")), "{undone:?}");
    }
}
