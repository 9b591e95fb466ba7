//! Rolls a release out: a new replica is started in a free slot and proves itself there, before it takes requests and an
//! old one leaves. There is one slot more than replicas. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Unit};

use super::instance::ReleaseId;
use super::lower::{
    BringUp, Surroundings, edge_files, id, long_running, one_shot, prepare, process_of, ready, spec,
};
use super::observe::Observed;
use super::resolve::Resolver;
use super::schema;
use crate::deployment::releases::Installed;
use foundation::clock::millis;
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, ServiceRequest, Supervise, Write};
use runner::plan::argument::Arg;
use runner::plan::service::ProcessSpec;
use runner::plan::step::{OnFailure, Plan, Step, StepId};
use runner::supervisor::protocol::{HealthState, ServiceStatus, State};

/// The native actions of a roll.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Roll {
    /// Waits until a held replica runs the release and all its checks pass.
    Verify(Replica),
    /// Has a replica pass its smoke alone.
    Smoke(Replica),
    /// Lets it take requests and tasks, and waits until the edge sends it some.
    Admit(Replica),
    /// The edge sends it nothing new; what it has is finished when it ends.
    Withdraw(Replica),
    /// The edge reads its configuration again.
    ReloadEdge,
    /// The edge sends it nothing new, if those that are to serve instead still do.
    Drain { replica: Replica, instead: Vec<Replica> },
    /// The edge sends it requests again.
    Undrain(Replica),
    /// Starts a replica again as it was, and has it pass its smoke.
    Restore { replica: Replica, spec: Box<ProcessSpec> },
    /// Looks at what serves now for a while.
    Watch { replicas: Vec<Replica>, seconds: u64 },
}

/// A replica as the actions of a roll find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Its name for the supervisor and for the edge.
    pub name: String,
    /// The release that it runs.
    pub release: String,
}

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Free,
    /// This release, which serves.
    Serving,
    /// This release, which has not proved itself yet.
    Held,
    /// Another release, or other settings, which serves.
    Old,
    /// What has ended, or is given up.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// What is in the slot proves itself and serves.
    Start(usize),
    /// What is in the slot leaves.
    Retire(usize),
}

/// The moves after which so many replicas of this release serve and nothing else runs. An old replica leaves only for a new
/// one that serves, wherever there is a slot for that.
fn sequence(slots: &[Slot], wanted: usize) -> Vec<Move> {
    let of = |kind: Slot| (0..slots.len()).filter(move |index| slots[*index] == kind);
    let mut moves: Vec<Move> = of(Slot::Dead).map(Move::Retire).collect();
    let mut open: VecDeque<usize> = of(Slot::Held).chain(of(Slot::Free)).chain(of(Slot::Dead)).collect();
    let mut old: VecDeque<usize> = of(Slot::Old).collect();
    let mut serving: VecDeque<usize> = of(Slot::Serving).collect();
    while serving.len() < wanted {
        if serving.len() + old.len() > wanted || open.is_empty() {
            let Some(leaves) = old.pop_front() else { break };
            moves.push(Move::Retire(leaves));
            open.push_back(leaves);
            continue;
        }
        let Some(next) = open.pop_front() else { break };
        moves.push(Move::Start(next));
        serving.push_back(next);
    }
    let surplus = serving.into_iter().skip(wanted);
    let held = open.into_iter().filter(|index| slots[*index] == Slot::Held);
    moves.extend(old.into_iter().chain(surplus).chain(held).map(Move::Retire));
    moves
}

/// How long a deploy watches what it has done, unless somebody asks for something else.
pub const WATCH: Duration = Duration::from_secs(10);
/// How long an earlier worker of the edge may take to finish what it has: longer than the edge gives it.
const DRAIN_LIMIT_MS: u64 = 60_000;
/// How long a replica may take until it has started and its checks pass. One that needs 20 s is slow, not broken.
pub const START_LIMIT_MS: u64 = 60_000;

/// The plan that replaces the replicas of the workers, and brings everything else up to date.
pub fn roll_out(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watch: Duration,
) -> Plan<BringUp> {
    let slots = platform.slots(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let is_worker = |unit: &&Unit<'_>| platform.is_worker(unit);
    let mut steps = prepare(seen);
    steps.extend(edge_files(around));
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
                if let Some(running) = seen.running.get(&unit.name()) {
                    let again = Action::Supervise(Supervise {
                        state: seen.instance.supervisor(),
                        request: ServiceRequest::Start(Box::new(running.spec.clone())),
                    });
                    let id = format!("{}.start", unit.name());
                    let starts = started.iter_mut().filter(|step| step.id.0 == id);
                    starts.for_each(|step| step.undo = Some(again.clone()));
                }
                steps.extend(started);
            }
        }
    }
    others.extend(reload(around).map(|step| {
        let id = step.id.clone();
        steps.push(step);
        id
    }));
    let workers: Vec<&Unit<'_>> = slots.iter().filter(is_worker).collect();
    let kinds: Vec<Slot> = workers.iter().map(|unit| slot(around, unit)).collect();
    steps.extend(proof(around, &workers, &kinds));
    if steps.iter().any(|step| step.id.0 == schema::LAST) {
        let migrations = format!("{}.run", platform.database.migrations);
        let changes = steps.iter_mut().filter(|step| step.id.0 == migrations);
        changes.for_each(|step| step.needs.push(schema::LAST.into()));
    }
    let wanted = platform.units(environment).iter().filter(is_worker).count();
    let again = workers.iter().zip(&kinds).filter(|(_, kind)| **kind == Slot::Serving);
    for (unit, _) in again {
        let step = admit(around, unit, &others);
        others.push(step.id.clone());
        steps.push(step);
    }
    let mut last = others;
    let release = release(seen);
    let mut serving: BTreeSet<usize> =
        (0..kinds.len()).filter(|index| kinds[*index] == Slot::Serving).collect();
    let of = |serving: &BTreeSet<usize>| -> Vec<Replica> {
        serving.iter().map(|index| replica(workers[*index], release)).collect()
    };
    for one in sequence(&kinds, wanted) {
        let moved = match one {
            Move::Start(index) => {
                serving.insert(index);
                start(around, workers[index], &last)
            }
            Move::Retire(index) => {
                serving.remove(&index);
                retire(around, workers[index], kinds[index], of(&serving), &last)
            }
        };
        last = moved.last().map(|step| vec![step.id.clone()]).unwrap_or_default();
        steps.extend(moved);
    }
    let replicas = of(&serving);
    steps.push(Step {
        needs: last,
        time_limit_ms: millis(watch).saturating_add(30_000),
        remedy: Some(format!("read `{PROGRAM} logs {}`", environment.name)),
        ..Step::new(
            "watch",
            format!("watch it for {} s: errors, restarts, readiness", watch.as_secs()),
            Action::Native(BringUp::Roll(Roll::Watch { replicas, seconds: watch.as_secs() })),
        )
    });
    Plan {
        intent: format!("roll {release} out to {}", environment.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Undo,
    }
}

/// The proof that what serves can work with the new schema, where it has to be given. When a replica of this release was
/// started already, it was given before.
fn proof(around: &Surroundings<'_>, workers: &[&Unit<'_>], kinds: &[Slot]) -> Vec<Step<BringUp>> {
    let (seen, Resolver { platform, environment, .. }) = (around.seen, &around.resolver);
    if kinds.iter().any(|kind| matches!(kind, Slot::Serving | Slot::Held)) {
        return vec![];
    }
    let free = kinds.iter().position(|kind| matches!(kind, Slot::Free | Slot::Dead));
    let old = kinds.iter().position(|kind| *kind == Slot::Old);
    let (Some(free), Some(old)) = (free, old) else { return vec![] };
    let running = seen.running.get(&workers[old].name()).and_then(|running| running.identity.as_ref());
    let changes = |running: &&ReleaseId| schema::changes(platform, environment, seen, &running.id);
    running.filter(changes).map_or_else(Vec::new, |running| schema::proof(around, running, workers[free]))
}

/// Where the edge runs with another configuration.
fn reload(around: &Surroundings<'_>) -> Option<Step<BringUp>> {
    let Resolver { platform, units, .. } = &around.resolver;
    let edge = units.iter().find(|unit| platform.is_edge(unit)).filter(|_| around.seen.edge_is_stale)?;
    let written = edge_files(around).into_iter().map(|step| step.id);
    Some(Step {
        needs: written.chain([format!("{}.ready", edge.name()).into()]).collect(),
        ..Step::new(
            format!("{}.reload", edge.name()),
            format!("{} reads its new configuration", edge.name()),
            Action::Native(BringUp::Roll(Roll::ReloadEdge)),
        )
    })
}

fn release(seen: &Observed) -> &str {
    seen.instance.release.as_ref().map_or("", |release| release.id.as_str())
}

fn replica(unit: &Unit<'_>, release: &str) -> Replica {
    Replica { name: unit.name(), release: release.to_owned() }
}

/// The release that a process was started from.
pub fn release_of(spec: &ProcessSpec, releases: &Path) -> Option<String> {
    let words = spec.argv.iter().chain(spec.env.values()).filter_map(|word| match word {
        Arg::Literal(text) => Some(Path::new(text)),
        _ => None,
    });
    words.chain([spec.cwd.as_path()]).find_map(|path| {
        let below = path.strip_prefix(releases).ok()?;
        Some(below.components().next()?.as_os_str().to_str()?.to_owned())
    })
}

fn slot(around: &Surroundings<'_>, unit: &Unit<'_>) -> Slot {
    let seen = around.seen;
    let Some(Running { status, spec: its_spec, release: its, held, .. }) = seen.running.get(&unit.name())
    else {
        return Slot::Free;
    };
    let lives = matches!(status.state, State::Running | State::BackingOff);
    match (its.as_deref() == Some(release(seen)), held) {
        _ if !lives => Slot::Dead,
        (true, true) => Slot::Held,
        // It ends again and again.
        (true, false) if status.state == State::BackingOff => Slot::Dead,
        (true, false) if status.health != HealthState::Unhealthy && *its_spec == spec(around, unit) => {
            Slot::Serving
        }
        // The same release with other settings, or one that hangs.
        (true, false) => Slot::Old,
        // Another release that never served is nothing to go back to.
        (false, true) => Slot::Dead,
        (false, false) => Slot::Old,
    }
}

/// A supervised process as it was found.
#[derive(Debug, Clone)]
pub struct Running {
    pub status: ServiceStatus,
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

fn start(around: &Surroundings<'_>, unit: &Unit<'_>, after: &[StepId]) -> Vec<Step<BringUp>> {
    let (name, release) = (unit.name(), release(around.seen));
    let native = |what: &str, title: String, act: fn(Replica) -> Roll, needs: &str| Step {
        needs: vec![format!("{name}.{needs}").into()],
        remedy: Some(format!("read `{PROGRAM} logs {} {name}`", around.resolver.environment.name)),
        ..Step::new(
            format!("{name}.{what}"),
            title,
            Action::Native(BringUp::Roll(act(replica(unit, release)))),
        )
    };
    let supervisor = around.resolver.instance.supervisor();
    let (hold, started) = (format!("{name}.hold"), format!("{name}.start"));
    vec![
        Step {
            needs: [after, &[id::RECORD, id::INSTALL_MODULES, id::MAKE_SECRETS].map(StepId::from)].concat(),
            ..Step::new(
                hold.clone(),
                format!("hold {name} back: no requests and no tasks yet"),
                Action::Write(Write {
                    path: around.resolver.instance.held(&name),
                    contents: release.into(),
                    mode: 0o600,
                }),
            )
        },
        Step {
            needs: vec![hold.into()],
            undo: Some(Action::Supervise(Supervise {
                state: supervisor.clone(),
                request: ServiceRequest::Remove(name.as_str().into()),
            })),
            ..Step::new(
                started,
                format!("start {name} with {release}"),
                Action::Supervise(Supervise {
                    state: supervisor,
                    request: ServiceRequest::Start(Box::new(spec(around, unit))),
                }),
            )
        },
        Step {
            time_limit_ms: START_LIMIT_MS,
            ..native("verify", format!("{name} runs {release}, and its checks pass"), Roll::Verify, "start")
        },
        native("smoke", format!("{name} passes its smoke, alone"), Roll::Smoke, "verify"),
        Step {
            undo: Some(Action::Native(BringUp::Roll(Roll::Withdraw(replica(unit, release))))),
            ..admit(around, unit, &[format!("{name}.smoke").into()])
        },
    ]
}

/// Also for one that serves already: a deploy that was killed may have taken it out of the edge.
fn admit(around: &Surroundings<'_>, unit: &Unit<'_>, needs: &[StepId]) -> Step<BringUp> {
    let name = unit.name();
    let replica = replica(unit, release(around.seen));
    Step {
        needs: needs.to_vec(),
        time_limit_ms: START_LIMIT_MS,
        ..Step::new(
            format!("{name}.admit"),
            format!("{name} takes requests and tasks"),
            Action::Native(BringUp::Roll(Roll::Admit(replica))),
        )
    }
}

fn retire(
    around: &Surroundings<'_>,
    unit: &Unit<'_>,
    kind: Slot,
    instead: Vec<Replica>,
    after: &[StepId],
) -> Vec<Step<BringUp>> {
    let name = unit.name();
    let running = around.seen.running.get(&name);
    let before = running.and_then(|running| running.release.as_deref()).unwrap_or_default();
    let old = replica(unit, before);
    let serves = matches!(kind, Slot::Old | Slot::Serving);
    let native = |act| Action::Native(BringUp::Roll(act));
    let restore =
        running.map(|running| Roll::Restore { replica: old.clone(), spec: Box::new(running.spec.clone()) });
    let drain = format!("{name}.drain");
    let mut steps = Vec::new();
    if serves {
        steps.push(Step {
            needs: after.to_vec(),
            undo: Some(native(Roll::Undrain(old.clone()))),
            time_limit_ms: DRAIN_LIMIT_MS,
            ..Step::new(
                drain.clone(),
                format!("the edge sends {name} nothing new"),
                native(Roll::Drain { replica: old, instead }),
            )
        });
    }
    steps.push(Step {
        needs: if serves { vec![drain.into()] } else { after.to_vec() },
        undo: restore.filter(|_| serves).map(native),
        ..Step::new(
            format!("{name}.stop"),
            format!("{name} finishes what it has and ends"),
            Action::Supervise(Supervise {
                state: around.resolver.instance.supervisor(),
                request: ServiceRequest::Remove(name.as_str().into()),
            }),
        )
    });
    steps
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

/// The paths of what a unit runs: when they are the same in two releases, it is the same.
fn sources<'a>(unit: &'a Unit<'_>) -> impl Iterator<Item = &'a str> {
    let own = process_of(unit).on_change.iter().flat_map(|change| change.paths.iter().copied());
    own.chain(["flows/package-lock.json"])
}

#[cfg(test)]
mod tests {
    use super::Slot::{Dead, Free, Held, Old, Serving};
    use super::*;

    fn spell(slots: &[Slot], wanted: usize) -> String {
        let name = |index: usize| char::from(b'a' + u8::try_from(index).unwrap());
        let one = |one: Move| match one {
            Move::Start(index) => format!("+{}", name(index)),
            Move::Retire(index) => format!("-{}", name(index)),
        };
        sequence(slots, wanted).into_iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_new_replica_serves_before_an_old_one_leaves() {
        for (slots, wanted, moves) in [
            (&[Free, Free, Free][..], 2, "+a +b"),
            (&[Old, Old, Free], 2, "+c -a +a -b"),
            (&[Old, Free], 1, "+b -a"),
            (&[Free, Old, Old], 2, "+a -b +b -c"),
            (&[Old, Old, Old, Free], 3, "+d -a +a -b +b -c"),
            (&[Serving, Serving, Free], 2, ""),
            // Killed after the first was admitted, or before.
            (&[Old, Old, Serving], 2, "-a +a -b"),
            (&[Old, Old, Held], 2, "+c -a +a -b"),
            (&[Serving, Old, Serving], 2, "-b"),
            // One has crashed; a replica more, and one less.
            (&[Dead, Old, Free], 2, "-a +c +a -b"),
            (&[Serving, Serving, Free, Free], 3, "+c"),
            (&[Serving, Serving, Serving], 2, "-c"),
            (&[Serving, Serving, Held], 2, "-c"),
        ] {
            assert_eq!(spell(slots, wanted), moves, "{slots:?}");
        }
    }

    /// Every state of four slots: the end is as wanted, and on the way the number that serves never falls below what it
    /// was at first or what is wanted, as long as a slot is free for that.
    #[test]
    fn nothing_is_lost_on_the_way_whatever_was_found() {
        let kinds = [Free, Serving, Held, Old, Dead];
        for number in 0..kinds.len().pow(4) {
            let mut slots: Vec<Slot> =
                (0..4_u32).map(|at| kinds[number / kinds.len().pow(at) % kinds.len()]).collect();
            let begun = slots.clone();
            let wanted = 3;
            let serve = |slots: &[Slot]| slots.iter().filter(|slot| matches!(slot, Serving | Old)).count();
            let least = serve(&slots).min(wanted);
            for one in sequence(&begun, wanted) {
                match one {
                    Move::Start(index) => {
                        assert!(matches!(slots[index], Free | Held), "{begun:?}");
                        slots[index] = Serving;
                    }
                    Move::Retire(index) => {
                        assert_ne!(slots[index], Free, "{begun:?}");
                        slots[index] = Free;
                    }
                }
                assert!(serve(&slots) >= least, "{begun:?} {slots:?}");
            }
            let serving = slots.iter().filter(|slot| **slot == Serving).count();
            assert_eq!(
                (serving, slots.iter().all(|slot| matches!(slot, Serving | Free))),
                (wanted, true),
                "{begun:?}"
            );
        }
    }

    /// Plans of a second platform: nothing here knows a service by its name.
    mod plans {
        use std::sync::Arc;

        use artifacts::containers::edge::configured;
        use foundation::interrupt::Interrupt;
        use runner::plan::runner::Runner;
        use runner::plan::service::ServiceName;
        use runner::plan::show::{OutputStyle, Show};
        use runner::plan::target::{Recording, Target};
        use runner::supervisor::protocol::HealthState;
        use vocabulary::model::environment::{Size, Tier};

        use super::super::*;
        use crate::engines::process::instance::{Instance, sockets};

        const PROGRAMS: [&str; 9] =
            ["dbmate", "haproxy", "initdb", "node", "pg_isready", "postgres", "psql", "sh", "xtask"];

        fn seen(platform: &Platform, environment: &Environment, serving: &[&str]) -> Observed {
            let slots = platform.slots(environment);
            let ports =
                sockets(&slots, environment).into_iter().map(|socket| socket.key).zip(20_000..).collect();
            let of = |id: &str| ReleaseId { id: id.to_owned(), flows_rev: "f".repeat(64) };
            let running = |name: &&str| {
                let status = ServiceStatus {
                    name: ServiceName((*name).to_owned()),
                    state: State::Running,
                    health: HealthState::Healthy,
                    pid: Some(1),
                    started_ms: Some(1),
                    restarts: 0,
                    reason: None,
                    ports: BTreeMap::new(),
                    log: PathBuf::new(),
                };
                let spec = ProcessSpec { name: status.name.clone(), ..ProcessSpec::default() };
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
                edge: Some(configured(platform, &slots).unwrap()),
                runs: !serving.is_empty(),
                running: serving.iter().map(running).collect(),
                ..Observed::default()
            }
        }

        fn plan(serving: &[&str]) -> Plan<BringUp> {
            let platform = second_platform::platform();
            let replicas = Size { replicas: Some(2), ..Size::default() };
            let sizes = [(platform.workers.service().to_string(), replicas)].into();
            let environment =
                Environment { name: "qa".to_owned(), tier: Tier::Staging, sizes, ..Environment::default() };
            let plan = roll_out(&platform, &environment, &seen(&platform, &environment, serving), WATCH);
            assert_eq!(plan.validate(), [""; 0]);
            plan
        }

        /// What is done, in order, when the step with this id fails.
        fn done(plan: &Plan<BringUp>, fails: Option<&str>) -> Vec<String> {
            let state = tempfile::tempdir().unwrap();
            let recording = Recording::new(fails.map(|id| (id.into(), Err("it does".to_owned()))));
            let target =
                Target::Recorded { state: state.path().to_owned(), recording: Arc::clone(&recording) };
            let runner = Runner {
                jobs: 1,
                show: Show::to(OutputStyle::Plain, Box::new(std::io::sink())),
                ..Runner::new(&target, Interrupt::default(), &|_, _| unreachable!("it is recorded"))
            };
            runner.run(plan).unwrap();
            let ids = recording.actions();
            ids.iter().map(|action| action.split(": ").next().unwrap().to_owned()).collect()
        }

        fn of_workers(ids: Vec<String>) -> Vec<String> {
            ids.into_iter().filter(|id| id.contains("flow-engine-") || id == "watch").collect()
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
        fn a_release_that_fails_when_it_is_watched_leaves_and_what_served_comes_back_first() {
            let plan = plan(&["flow-engine-a", "flow-engine-b"]);
            // Without the files of the releases, the schema has to be proven.
            assert!(plan.steps.iter().any(|step| step.id.0 == schema::LAST));
            let ids = of_workers(done(&plan, Some("watch")));
            let watched = ids.iter().position(|id| id == "watch").unwrap();
            let undone: Vec<&str> = ids[watched + 1..].iter().map(String::as_str).collect();
            assert_eq!(
                undone,
                [
                    "undo flow-engine-b.stop",
                    "undo flow-engine-b.drain",
                    "undo flow-engine-a.admit",
                    "undo flow-engine-a.start",
                    "undo flow-engine-a.stop",
                    "undo flow-engine-a.drain",
                    "undo flow-engine-c.admit",
                    "undo flow-engine-c.start",
                ]
            );
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
    }
}
