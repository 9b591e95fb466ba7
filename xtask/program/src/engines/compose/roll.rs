//! The roll on this engine: containers of one project, which Compose makes from the files of the release. Pure.
//!
//! Compose acts on one replica at a time, and never on what it starts after: the others stay as they are.

use std::collections::BTreeSet;
use std::time::Duration;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Service, Unit, Value};

use super::definition::{Networks, joining};
use super::deployed::{Container, Deploy, project_of};
use super::lower::{UP_LIMIT_SECONDS, follower, is_healthy, up, written};
use super::observe::{ENGINE_VARIABLES, Observed};
use super::project::Project;
use super::{monitoring, store};
use crate::deployment::releases::Installed;
use crate::engines::process::lower::{BringUp, Prepare, id};
use crate::engines::process::resolve::Resolver;
use crate::engines::roll::edge::Edge;
use crate::engines::roll::schema::{self, Proof};
use crate::engines::roll::{Replicas, Slot, WATCHED, Workers, come_last, leaves};
use artifacts::containers::tree;
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Exec, ServiceRequest, Supervise, WaitFor};
use runner::plan::argument::Arg;
use runner::plan::service::ProcessSpec;
use runner::plan::step::{OnFailure, Plan, Step, StepId};
use runner::supervisor::protocol::State;

/// Where the schema service finds the contract migrations that it is to run, and no others.
const ONLY: &str = "/contract";

/// Ends a container by its own stop signal and within its own time, and removes it; there may be none. While Compose replaces
/// one, another one has its name with an id before it.
const REMOVE: &str = r#"found=$("$0" ps --all --quiet --no-trunc --filter "name=^/([0-9a-f]{12}_)?$1\$") || exit
[ -z "$found" ] || { "$0" stop $found && "$0" rm --force $found; }"#;

/// Runs a service that ends by itself, anew, and ends as it did.
const RUN: &str = r#"client=$0 container=$1; shift
"$@" || exit
code=$("$client" wait "$container") || exit
"$client" logs "$container" 2>&1
exit "$code""#;

pub(super) struct Surroundings<'a> {
    pub platform: &'a Platform,
    pub environment: &'a Environment,
    pub seen: &'a Observed,
    pub deploy: &'a Deploy,
}

/// The plan that replaces the replicas of the workers, and brings everything else up to date.
pub fn roll_out(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watch: Duration,
) -> Plan<BringUp> {
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let (slots, project) = (seen.deploy.slots(platform, environment), &seen.project);
    let mut steps = staged(around);
    let staged: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    let edge = edge(platform, around, &slots);
    // With the same configuration, it is replaced when the new replicas serve. An edge that is not there, or has to find other
    // replicas, comes before them.
    let serves = |unit: &Unit<'_>| {
        let found = seen.deploy.containers.get(&unit.name());
        found.is_some_and(|found| found.running.status.state == State::Running)
    };
    let edge_is_last = edge.is_some_and(|edge| serves(edge.unit) && edge.before.is_none());
    let mut files = edge.map_or_else(Vec::new, |edge| edge.files());
    let is_target =
        |unit: &Unit<'_>| !platform.is_worker(unit) || seen.deploy.containers.contains_key(&unit.name());
    let watching = monitoring::watching(around.resolver(&slots), &seen.prefix);
    let watches = watching.filter(|watching| serves(watching.scraper));
    // A release that is rolled back must not have brought its rules.
    let is_last = |step: &Step<BringUp>| {
        watches.as_ref().is_some_and(|watching| monitoring::is_taken_over(step, watching))
    };
    let (last_files, first): (Vec<_>, Vec<_>) =
        watching_files(around, &slots, &is_target).into_iter().partition(&is_last);
    files.extend(first);
    let mut needs: Vec<StepId> = staged.into_iter().chain(files.iter().map(|step| step.id.clone())).collect();
    steps.extend(files);

    // The database before its migrations, these before everything that reads it.
    let (one_shots, stay): (Vec<_>, Vec<_>) =
        others(platform, &slots).into_iter().partition(|unit| unit.service.lifetime == Lifetime::OneShot);
    let (first, later): (Vec<_>, Vec<_>) =
        stay.into_iter().partition(|unit: &&Unit<'_>| unit.service.id == platform.database.port.service);
    let mut go_on = |steps: &mut Vec<Step<BringUp>>, more: Vec<Step<BringUp>>| {
        needs.extend(more.iter().map(|step| step.id.clone()));
        steps.extend(more);
        needs.clone()
    };
    let staged = go_on(&mut steps, vec![]);
    let mut ready = go_on(&mut steps, joined(around, &slots, &staged));
    for unit in first {
        let started = started(around, unit, ready);
        ready = go_on(&mut steps, started);
    }
    let workers = Workers::of(platform, environment, &seen.instance, around);
    let proven = proof(platform, around, &workers, &ready);
    ready = go_on(&mut steps, proven);
    for unit in one_shots {
        let step = one_shot(around, unit, ready);
        ready = go_on(&mut steps, vec![step]);
    }
    let (last, later): (Vec<_>, Vec<_>) =
        later.into_iter().partition(|unit| edge_is_last && platform.is_edge(unit));
    for unit in later {
        let started = started(around, unit, ready);
        ready = go_on(&mut steps, started);
    }
    if let Some(reload) = edge.and_then(|edge| edge.reload(&format!("{}.start", edge.unit.name()))) {
        ready = go_on(&mut steps, vec![reload]);
    }
    if let Some(certified) = edge.and_then(|edge| edge.certified(environment, ready.clone())) {
        ready = go_on(&mut steps, vec![certified]);
    }
    let mut rolled = workers.roll(ready, watch);
    // What is watched includes the new edge.
    for unit in last {
        let Some(watched) = rolled.iter().position(|step| step.id.0 == WATCHED) else { break };
        let started = started(around, unit, rolled[watched].needs.clone());
        rolled[watched].needs.extend(started.iter().map(|step| step.id.clone()));
        rolled.splice(watched..watched, started);
    }
    steps.extend(rolled);
    steps.extend(last_files);
    come_last(&mut steps, is_last);
    Plan {
        intent: format!(
            "roll {} out to {} in containers of {}",
            release(seen),
            environment.name,
            project.name
        ),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Undo,
    }
}

/// What the services that watch the others read, with these units as targets.
pub(super) fn watching_files(
    around: &Surroundings<'_>,
    slots: &[Unit<'_>],
    is_target: &dyn Fn(&Unit<'_>) -> bool,
) -> Vec<Step<BringUp>> {
    let resolver = around.resolver(slots);
    let mut files = monitoring::files(resolver, around.seen, is_target);
    files.extend(monitoring::trusted(resolver, &around.seen.prefix, id::MAKE_SECRETS.into()));
    files
}

/// What ends the containers of replicas and services that are no longer part of the platform.
pub fn remove_others(platform: &Platform, environment: &Environment, seen: &Observed) -> Vec<Step<BringUp>> {
    let around = Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let wanted: BTreeSet<_> = seen.deploy.slots(platform, environment).iter().map(Unit::name).collect();
    let others = seen.deploy.containers.keys().filter(|name| !wanted.contains(*name));
    let removed = |name: &String| {
        let title = format!("{name}, which is no longer used, finishes its work and stops");
        Step::new(format!("{name}.stop"), title, around.remove(name))
    };
    others.map(removed).collect()
}

/// The proof that what serves can work with the new schema, where it has to be given.
fn proof(
    platform: &Platform,
    around: &Surroundings<'_>,
    workers: &Workers<'_>,
    needs: &[StepId],
) -> Vec<Step<BringUp>> {
    let Some((free, old)) = schema::places(workers) else { return vec![] };
    let old = around.deploy.containers.get(&workers.slots[old].name());
    let changes = |old: &&Container| {
        let running = old.running.identity.as_ref();
        running.is_some_and(|running| {
            schema::changes(platform, around.environment, &around.seen.instance, &running.id)
        })
    };
    old.filter(changes).map_or_else(Vec::new, |old| proven(around, old, &workers.slots[free], needs))
}

/// The proof, by a replica in a free slot. It is a container of the project that made this one, which serves, but for its
/// database.
pub(super) fn proven(
    around: &Surroundings<'_>,
    old: &Container,
    free: &Unit<'_>,
    needs: &[StepId],
) -> Vec<Step<BringUp>> {
    let Surroundings { platform, seen, .. } = around;
    let (project, before) = (&seen.project, project_of(old, &seen.project));
    let migrations = platform.services.iter().find(|service| service.id == platform.database.migrations);
    let named = |service: &Service| service.variable(&Value::Text(platform.database.name)).map(str::to_owned);
    let (Some(running), Some(migrations), Ok(of_workers)) =
        (&old.running.identity, migrations, named(free.service))
    else {
        return vec![];
    };
    let Ok(of_migrations) = named(migrations) else { return vec![] };
    let scratch = schema::scratch(platform);
    let name = free.name();
    let of = |variable: &str| format!("{variable}={scratch}");
    let once = |project: &Project, words: &[&str]| {
        around.once(project, &[&["--env", &of(&of_migrations)], words].concat())
    };
    let discard = tree(&platform.containers, platform.database.discard);
    // Others of the release wait until somebody asks for them.
    let of_contract: Vec<_> = seen.contracted.union(&seen.contract).collect();
    let contract = platform.database.contract.filter(|_| !of_contract.is_empty()).map(|contract| {
        let tree = Installed::at(&seen.instance.releases(), &running.id).tree();
        let mut words = vec!["--env".to_owned(), format!("{}={ONLY}", contract.variable)];
        for path in of_contract {
            let name = path.rsplit('/').next().unwrap_or_default();
            let mounted = format!("{}:{ONLY}/{name}:ro", tree.join(path).display());
            words.extend(["--volume".to_owned(), mounted]);
        }
        words.push(migrations.id.0.to_owned());
        words
    });
    Proof {
        platform,
        instance: &seen.instance,
        running,
        place: name.clone(),
        // What starts it ends that too.
        vacate: None,
        migrate: once(project, &[migrations.id.0]),
        contract: contract.map(|words| once(&before, &words.iter().map(String::as_str).collect::<Vec<_>>())),
        discard: once(project, &["--entrypoint", "sh", migrations.id.0, &discard]),
        start: vec![
            around.run(
                &before,
                &project.container(&name),
                &["--detach", "--service-ports", "--env", &of(&of_workers), &name],
            ),
            around.follow(&name, vec![]).action,
        ],
        stop: vec![around.remove(&name), around.supervise(ServiceRequest::Remove(name.as_str().into()))],
    }
    .steps(needs.to_vec())
}

pub(super) fn release(seen: &Observed) -> &str {
    seen.instance.release.as_ref().map_or("", |release| release.id.as_str())
}

pub(super) fn edge<'a>(
    platform: &'a Platform,
    around: &Surroundings<'a>,
    slots: &'a [Unit<'a>],
) -> Option<Edge<'a>> {
    let unit = slots.iter().find(|unit| platform.is_edge(unit))?;
    Some(Edge {
        platform,
        instance: &around.seen.instance,
        unit,
        configuration: around.deploy.edge.as_ref()?,
        runs: around.deploy.containers.contains_key(&unit.name()),
        before: around.deploy.edge_before.as_deref(),
        trusted: around.deploy.edge_trusts.as_deref(),
    })
}

/// The configuration that the edge runs with, when it is to have another one.
pub fn edge_before(platform: &Platform, environment: &Environment, seen: &Observed) -> Option<String> {
    let slots = platform.slots(environment);
    let around = Surroundings { platform, environment, seen, deploy: &seen.deploy };
    edge(platform, &around, &slots).filter(|edge| edge.runs)?.differs()
}

/// Everything that a roll needs is on this machine, and nothing of it runs yet but the secret store.
pub(super) fn staged(around: &Surroundings<'_>) -> Vec<Step<BringUp>> {
    let Surroundings { seen, deploy, .. } = around;
    let mut steps = vec![
        Prepare::InstallTools { programs: seen.programs.clone() }.step(),
        Step { needs: vec![], ..Prepare::RecordInstance.step() },
    ];
    if !deploy.images.is_empty() {
        steps.push(Prepare::LoadImages { images: deploy.images.clone() }.step());
    }
    steps.extend(deploy.pulled.iter().map(|image| {
        let name = image.replace(['/', ':', '@'], "-");
        Step {
            time_limit_ms: 3_600_000,
            remedy: Some("without a registry, load it into the engine; see docs/images.md".to_owned()),
            ..Step::new(
                format!("pull-{name}"),
                format!("pull {image}"),
                Action::Exec(exec(vec![seen.project.docker.clone(), "pull".into(), image.clone()])),
            )
        }
    }));
    steps.extend(written(seen));
    let Surroundings { platform, environment, .. } = *around;
    let units = platform.units(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &units };
    let needs: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    steps.extend(store::secrets(&resolver, deploy.store.as_deref(), &needs, |unit, needs| {
        started(around, unit, needs)
    }));
    steps
}

/// What is started beside the replicas of the workers, but the secret store, which [`staged`] has started.
pub(super) fn others<'a>(platform: &Platform, slots: &'a [Unit<'a>]) -> Vec<&'a Unit<'a>> {
    let store = platform.secret_store.map(|store| store.service());
    slots.iter().filter(|unit| !platform.is_worker(unit) && Some(unit.service.id) != store).collect()
}

/// Seconds that the edge gets when it is replaced. Until it has ended, nobody listens; it would wait for open WebSockets.
const EDGE_STOP_SECONDS: u32 = 2;

/// Starts a service, anew if its definition or image has changed, and follows what it writes. Undone, it is what it was: each
/// service by the project that made its container, which may be of an earlier release than the replicas.
pub(super) fn started(around: &Surroundings<'_>, unit: &Unit<'_>, needs: Vec<StepId>) -> Vec<Step<BringUp>> {
    let name = unit.name();
    if around.deploy.stays.contains_key(&name) {
        return stays(around, unit, needs);
    }
    let edge =
        around.platform.is_edge(unit).then(|| edge(around.platform, around, std::slice::from_ref(unit)));
    let stop = EDGE_STOP_SECONDS.to_string();
    let words = if edge.is_some() { vec!["--no-deps", "--timeout", &stop] } else { vec!["--no-deps"] };
    let with = |project: &Project| Exec { inherits: Some(inherited()), ..up(project, &words, Some(&name)) };
    let before = around.deploy.containers.get(&name);
    let undo = before.map(|before| {
        let again = with(&project_of(before, &around.seen.project));
        // Those that it has joined since are not in that project.
        let words = std::iter::once(Arg::from(again.program.clone())).chain(again.args.clone());
        let argv = joining(&around.seen.project, &name, &before.networks, vec![]);
        let joined = exec(argv);
        Exec { program: joined.program, args: joined.args.into_iter().chain(words).collect(), ..again }
    });
    let undo = undo.map(|exec| match edge.flatten() {
        // What it was may not be able to read what is there now.
        Some(edge) => reading(edge, exec),
        None => exec,
    });
    let is_beside = before.is_none() && around.platform.runs_beside_itself(unit.service);
    let started = Step {
        needs,
        time_limit_ms: u64::from(UP_LIMIT_SECONDS + 30) * 1000,
        undo: undo.map(Action::Exec).or_else(|| is_beside.then(|| around.remove(&name))),
        remedy: Some("fix what the last lines of the container name; see docs/containers.md".to_owned()),
        ..Step::new(
            format!("{name}.start"),
            format!("start or update {name}, and wait until healthy"),
            Action::Exec(with(&around.seen.project)),
        )
    };
    let left = is_beside.then(|| around.supervise(ServiceRequest::Remove(name.as_str().into())));
    let followed = Step { undo: left, ..around.follow(&name, vec![started.id.clone()]) };
    vec![started, followed]
}

/// What has not changed goes on, in all networks that it is to be in.
fn stays(around: &Surroundings<'_>, unit: &Unit<'_>, needs: Vec<StepId>) -> Vec<Step<BringUp>> {
    let (name, project) = (unit.name(), &around.seen.project);
    let ready = Step {
        needs,
        remedy: Some(format!("read `{PROGRAM} logs {} {name}`", around.environment.name)),
        ..Step::new(
            format!("{name}.start"),
            format!("{name} has not changed, and is healthy"),
            Action::WaitFor(WaitFor {
                probe: is_healthy(around.seen, &project.container(&name)),
                time_limit_ms: u64::from(UP_LIMIT_SECONDS) * 1000,
                interval_ms: 200,
            }),
        )
    };
    let followed = around.follow(&name, vec![ready.id.clone()]);
    vec![ready, followed]
}

/// The networks of replicas that there were not before, and those who talk to them in these.
fn joined(around: &Surroundings<'_>, slots: &[Unit<'_>], needs: &[StepId]) -> Vec<Step<BringUp>> {
    let (project, deploy) = (&around.seen.project, around.deploy);
    let join: Vec<_> = deploy.stays.iter().filter(|(_, networks)| !networks.is_empty()).collect();
    if join.is_empty() {
        return vec![];
    }
    // Compose makes a network with the first container that is in it, even if that is never started. Where no place is free,
    // all networks are there; and without a name, Compose would make everything anew.
    let free: Vec<String> =
        slots.iter().map(Unit::name).filter(|name| !deploy.containers.contains_key(name)).collect();
    let words = ["up", "--no-start", "--no-deps", "--no-build"];
    let words = words.into_iter().chain(free.iter().map(String::as_str)).collect::<Vec<_>>();
    let script = r#"client=$0 containers=$1; shift; "$@" && "$client" rm --force $containers"#;
    let containers: Vec<String> = free.iter().map(|name| project.container(name)).collect();
    let argv = ["sh", "-c", script, &project.docker, &containers.join(" ")].map(str::to_owned);
    let made = (!free.is_empty()).then(|| Step {
        needs: needs.to_vec(),
        ..Step::new(
            "networks",
            "make the networks of new replicas",
            Action::Exec(exec(argv.into_iter().chain(project.argv(&words)).collect())),
        )
    });
    let needs = made.as_ref().map_or_else(|| needs.to_vec(), |made| vec![made.id.clone()]);
    let joins = join.into_iter().map(|(name, networks)| Step {
        needs: needs.clone(),
        ..Step::new(
            format!("{name}.join"),
            format!("{name} joins the networks of new replicas"),
            Action::Exec(exec(joining(project, name, networks, vec!["true".to_owned()]))),
        )
    });
    made.into_iter().chain(joins.collect::<Vec<_>>()).collect()
}

/// The same, once the edge's file is as it was before.
fn reading(edge: Edge<'_>, exec: Exec) -> Exec {
    let Some(before) = edge.before else { return exec };
    let script = r#"cat >"$0" && exec "$@""#;
    let words = ["-c".to_owned(), script.to_owned(), edge.file().display().to_string(), exec.program];
    Exec {
        program: "sh".to_owned(),
        args: words.into_iter().map(Arg::from).chain(exec.args).collect(),
        stdin: Some(before.into()),
        ..exec
    }
}

pub(super) fn one_shot(around: &Surroundings<'_>, unit: &Unit<'_>, needs: Vec<StepId>) -> Step<BringUp> {
    let (name, project) = (unit.name(), &around.seen.project);
    let mut argv = ["sh", "-c", RUN, &project.docker, &project.container(&name)].map(str::to_owned).to_vec();
    argv.extend(project.argv(&["up", "--detach", "--no-deps", "--no-build", "--force-recreate", &name]));
    Step {
        needs,
        remedy: Some("fix what its log names, then run the command again".to_owned()),
        ..Step::new(format!("{name}.run"), format!("run {name}"), Action::Exec(exec(argv)))
    }
}

impl Replicas for Surroundings<'_> {
    fn slot(&self, unit: &Unit<'_>) -> Slot {
        self.deploy.containers.get(&unit.name()).map_or(Slot::Free, |found| {
            let stays = self.deploy.stays.get(&unit.name()).is_some_and(Networks::is_empty);
            let as_wanted = stays || self.seen.project.files.contains(&found.file);
            found.running.slot(release(self.seen), as_wanted)
        })
    }

    fn release(&self, unit: &Unit<'_>) -> String {
        let found = self.deploy.containers.get(&unit.name());
        found.and_then(|found| found.running.release.clone()).unwrap_or_default()
    }

    fn start(&self, unit: &Unit<'_>, needs: Vec<StepId>) -> Vec<Step<BringUp>> {
        let name = unit.name();
        let started = Step {
            needs,
            undo: Some(self.remove(&name)),
            ..Step::new(
                format!("{name}.start"),
                format!("start {name} with {}", release(self.seen)),
                self.create(&self.seen.project, &name),
            )
        };
        let followed = Step {
            undo: Some(self.supervise(ServiceRequest::Remove(name.as_str().into()))),
            ..self.follow(&name, vec![started.id.clone()])
        };
        let slots = self.platform.slots(self.environment);
        let watching = monitoring::watching(self.resolver(&slots), &self.seen.prefix);
        let target = watching.into_iter().flat_map(|watching| watching.appears(unit, followed.id.clone()));
        let target: Vec<_> = target.map(|(_, step)| step).collect();
        [vec![started, followed], target].concat()
    }

    fn stop(&self, unit: &Unit<'_>, needs: Vec<StepId>, comes_back: bool) -> Vec<Step<BringUp>> {
        let name = unit.name();
        let before = self.deploy.containers.get(&name).filter(|_| comes_back);
        let stopped = Step {
            needs,
            undo: before.map(|before| self.create(&project_of(before, &self.seen.project), &name)),
            ..Step::new(
                format!("{name}.stop"),
                leaves(self.platform, self.environment, unit),
                self.remove(&name),
            )
        };
        let left = Step {
            needs: vec![stopped.id.clone()],
            undo: comes_back.then(|| self.follow(&name, vec![]).action),
            ..Step::new(
                format!("{name}.leave"),
                format!("stop following {name}"),
                self.supervise(ServiceRequest::Remove(name.as_str().into())),
            )
        };
        let slots = self.platform.slots(self.environment);
        let watching = monitoring::watching(self.resolver(&slots), &self.seen.prefix);
        let target = watching.map_or_else(Vec::new, |watching| watching.leaves(unit, stopped.id.clone()));
        [vec![stopped, left], target].concat()
    }
}

impl Surroundings<'_> {
    /// A Compose command that makes a container of this name, whatever was there.
    fn anew(&self, project: &Project, container: &str, words: &[&str]) -> Action<BringUp> {
        let script = format!("{{ {REMOVE}\n}} && shift && \"$@\"");
        let argv = ["sh", "-c", &script, &project.docker, container].map(str::to_owned);
        Action::Exec(exec(argv.into_iter().chain(project.argv(words)).collect()))
    }

    /// Runs a service in a container of its own.
    fn run(&self, project: &Project, container: &str, words: &[&str]) -> Action<BringUp> {
        self.anew(project, container, &[&["run", "--no-deps", "--name", container], words].concat())
    }

    /// The same until it ends, of the service that changes the schema.
    pub fn once(&self, project: &Project, words: &[&str]) -> Action<BringUp> {
        let words = [&["--rm", "--no-TTY"], words].concat();
        self.run(project, &self.seen.project.container("schema"), &words)
    }

    /// A replica. What was left of a proof has its name, and Compose would not replace that.
    fn create(&self, project: &Project, name: &str) -> Action<BringUp> {
        let words = ["up", "--detach", "--no-deps", "--no-build", "--force-recreate", name];
        self.anew(project, &project.container(name), &words)
    }

    pub fn remove(&self, name: &str) -> Action<BringUp> {
        let project = &self.seen.project;
        let argv = ["sh", "-c", REMOVE, &project.docker, &project.container(name)];
        Action::Exec(exec(argv.map(str::to_owned).to_vec()))
    }

    fn supervise(&self, request: ServiceRequest) -> Action<BringUp> {
        Action::Supervise(Supervise { state: self.seen.instance.supervisor(), request })
    }

    fn resolver<'a>(&'a self, units: &'a [Unit<'a>]) -> Resolver<'a> {
        let (platform, environment, instance) = (self.platform, self.environment, &self.seen.instance);
        Resolver { platform, environment, instance, units }
    }

    /// What a container writes, as a log beside those of processes. The same whatever the release.
    fn follow(&self, name: &str, needs: Vec<StepId>) -> Step<BringUp> {
        let units = self.platform.units(self.environment);
        let resolver = self.resolver(&units);
        let spec = ProcessSpec { secrets: resolver.secret_places(), ..follower(&resolver, self.seen, name) };
        Step {
            needs,
            remedy: Some(format!("read `{PROGRAM} logs {} {name}`", self.environment.name)),
            ..Step::new(
                format!("{name}.follow"),
                format!("follow {name}"),
                self.supervise(ServiceRequest::Start(Box::new(spec))),
            )
        }
    }
}

/// Nothing that the caller has set by chance takes the place of what is in the project's file of variables.
pub(super) fn inherited() -> Vec<String> {
    let own =
        ["PATH", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    own.into_iter().chain(ENGINE_VARIABLES).map(str::to_owned).collect()
}

pub(super) fn exec(argv: Vec<String>) -> Exec {
    let mut words = argv.into_iter();
    Exec {
        program: words.next().unwrap_or_default(),
        args: words.map(Arg::from).collect(),
        inherits: Some(inherited()),
        ..Exec::default()
    }
}

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use artifacts::containers::edge::deployed;
    use vocabulary::model::environment::{EngineKind, SecretsIn, Size, Tier};
    use vocabulary::model::topology::Topology;

    use super::*;
    use crate::engines::compose::deployed::ReleasedImage;
    use crate::engines::process::instance::{Instance, ReleaseId};
    use crate::engines::process::lower::id;
    use crate::engines::roll::WATCH;
    use crate::engines::roll::running::Running;
    use crate::engines::roll::tests::{done, healthy};
    use runner::plan::service::ProcessSpec;

    fn of(id: &str) -> ReleaseId {
        ReleaseId { id: id.to_owned(), flows_rev: "f".repeat(64) }
    }

    /// A container of the first release.
    pub fn serving(name: &str) -> (String, Container) {
        let status = healthy(name);
        let (release, identity) = (Some("1.0.0-a".to_owned()), Some(of("1.0.0-a")));
        let running = Running { status, spec: ProcessSpec::default(), release, identity, held: false };
        let file = "/state/qa/releases/1.0.0-a/compose/0/compose.yaml".into();
        (
            name.to_owned(),
            Container { running, file, image: "sha256:0".to_owned(), networks: Networks::new() },
        )
    }

    fn plan(found: &[&str]) -> Plan<BringUp> {
        planned(found.iter().map(|name| serving(name)).collect(), None).0
    }

    /// A second platform with two replicas.
    pub fn qa() -> (Platform, Environment) {
        let platform = second_platform::platform();
        let replicas = Size { replicas: Some(2), ..Size::default() };
        let environment = Environment {
            name: "qa".to_owned(),
            tier: Tier::Staging,
            engine: EngineKind::Compose,
            sizes: [(platform.workers.service().to_string(), replicas)].into(),
            ..Environment::default()
        };
        (platform, environment)
    }

    pub fn seen(containers: BTreeMap<String, Container>, edge_before: Option<&str>) -> Observed {
        let (platform, environment) = qa();
        let folder = PathBuf::from("/state/qa/releases/2.0.0-b/compose/0");
        Observed {
            instance: Instance {
                root: "/state/qa/releases/2.0.0-b/tree".into(),
                folder: "/state/qa".into(),
                release: Some(of("2.0.0-b")),
                ..Instance::default()
            },
            target: "qa".to_owned(),
            project: Project {
                name: "p".to_owned(),
                docker: "/bin/docker".to_owned(),
                compose: vec!["/bin/compose".to_owned()],
                files: vec![folder.join("compose.yaml")],
                env_file: folder.join("compose.env"),
                folder,
            },
            deploy: Deploy {
                project: "services:".to_owned(),
                images: vec![ReleasedImage {
                    archive: "/a".into(),
                    digest: "d".to_owned(),
                    id: "i".to_owned(),
                    tag: "t".to_owned(),
                }],
                containers,
                unused: ["ledger-b".to_owned()].into(),
                edge: deployed(&Topology::deployed(&platform, &environment), "10.210", None).unwrap(),
                edge_before: edge_before.map(str::to_owned),
                ..Deploy::default()
            },
            ..Observed::default()
        }
    }

    /// The plan, and what ends what is no longer part of the platform.
    fn planned(
        containers: BTreeMap<String, Container>,
        edge_before: Option<&str>,
    ) -> (Plan<BringUp>, Vec<Step<BringUp>>) {
        let ((platform, environment), seen) = (qa(), seen(containers, edge_before));
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        (plan, remove_others(&platform, &environment, &seen))
    }

    fn undo_of(plan: &Plan<BringUp>, id: &str) -> String {
        let step = plan.steps.iter().find(|step| step.id.0 == id).unwrap();
        serde_json::to_string(&step.undo).unwrap()
    }

    fn of_workers(ids: &[String]) -> Vec<&str> {
        ids.iter().map(String::as_str).filter(|id| id.contains("flow-engine-")).collect()
    }

    pub const TWO: [&str; 4] = ["flow-engine-a", "flow-engine-b", "store", "portal"];

    #[test]
    fn rules_are_brought_before_what_watches_starts_and_otherwise_when_all_else_is_done() {
        let (platform, mut environment) = qa();
        environment.with.push("lookout".to_owned());
        let scraper = platform.monitoring.unwrap().scraper.service.to_string();
        let of_release = |id: &String| id.starts_with("rules-") || *id == format!("{scraper}.configure");
        let rolled = |watches: bool, fails| {
            let found = TWO.iter().copied().chain(watches.then_some(scraper.as_str()));
            let seen = seen(found.map(serving).collect(), None);
            let plan = roll_out(&platform, &environment, &seen, WATCH);
            assert_eq!(plan.validate(), [""; 0]);
            for step in plan.steps.iter().filter(|step| of_release(&step.id.0)) {
                assert_eq!(step.needs.contains(&WATCHED.into()), watches, "{step:?}");
            }
            done(&plan, fails)
        };
        let first = rolled(false, None);
        let starts = first.iter().position(|id| *id == format!("{scraper}.start")).unwrap();
        assert!(first.iter().rposition(of_release).unwrap() < starts, "{first:?}");
        let later = rolled(true, None);
        let begins = later.iter().position(of_release).unwrap();
        assert!(later[begins..].iter().all(of_release) && later[begins..].len() > 2, "{later:?}");
        assert!(!rolled(true, Some(WATCHED)).iter().any(of_release));
    }

    #[test]
    fn images_and_the_schema_come_before_anything_that_serves_is_touched() {
        let plan = plan(&TWO);
        let ids = done(&plan, None);
        let at = |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
        let order = ["load-images", "store.start", schema::LAST, "schema.run", "oracle.start"];
        assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{ids:?}");
        assert!(at("oracle.start") < at("flow-engine-c.start"), "{ids:?}");
        assert_eq!(
            of_workers(&ids)[..9],
            [
                "flow-engine-c.hold",
                "flow-engine-c.start",
                "flow-engine-c.follow",
                "flow-engine-c.verify",
                "flow-engine-c.smoke",
                "flow-engine-c.admit",
                "flow-engine-a.drain",
                "flow-engine-a.stop",
                "flow-engine-a.leave",
            ]
        );
        // Compose acts on the replica alone, by the files of its own release.
        let text = plan.text();
        assert!(text.contains(
            "/2.0.0-b/compose/0/compose.yaml up --detach --no-deps --no-build --force-recreate flow-engine-c"
        ));
        assert!(text.contains(
            "/1.0.0-a/compose/0/compose.yaml up --detach --no-deps --no-build --force-recreate flow-engine-a"
        ));
        // A proof that was killed may have left a container with its name.
        let start = plan.steps.iter().find(|step| step.id.0 == "flow-engine-c.start").unwrap();
        assert!(serde_json::to_string(&start.action).unwrap().contains("rm --force"), "{start:?}");
    }

    #[test]
    fn a_service_of_the_workers_alone_is_replaced_beside_the_old_one() {
        let (platform, environment) = qa();
        let mut seen =
            seen([&TWO[..], &["ledger"]].concat().iter().map(|name| serving(name)).collect(), None);
        seen.deploy.unused = ["ledger".to_owned()].into();
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        let failed = done(&plan, Some("flow-engine-c.verify"));
        let touched: Vec<_> = failed.iter().filter(|id| id.contains("ledger")).collect();
        let undone = ["undo ledger-b.follow", "undo ledger-b.start"];
        assert_eq!(touched, [&["ledger-b.start", "ledger-b.follow"][..], &undone].concat());
        let removed = remove_others(&platform, &environment, &seen);
        assert_eq!(removed.iter().map(|step| step.id.0.as_str()).collect::<Vec<_>>(), ["ledger.stop"]);
    }

    #[test]
    fn nothing_but_the_secret_store_starts_before_the_secrets_are_read() {
        let (platform, mut environment) = qa();
        environment.secret_store = SecretsIn::Vault;
        let mut seen = seen([serving("vault")].into(), None);
        seen.deploy.store = Some("10.0.0.2".to_owned());
        for plan in [
            roll_out(&platform, &environment, &seen, WATCH),
            super::super::starting::start(&platform, &environment, &seen),
            super::super::lower::bring_up(&platform, &environment, &seen, false),
        ] {
            assert_eq!(plan.validate(), [""; 0]);
            let failed = done(&plan, Some(id::MAKE_SECRETS));
            let acts: Vec<_> = failed.iter().filter(|id| id.contains("vault") || *id == "up").collect();
            // Undone, it would be sealed again.
            let expected = ["vault.configure", "vault.start", "vault.follow"];
            assert_eq!(acts[..3], expected, "{failed:?}");
            assert!(!acts.iter().any(|id| *id == "up" || id.starts_with("undo")), "{failed:?}");
            let others = ["store.start", "schema.run", "portal.start", "flow-engine-a.start", "ledger.start"];
            assert!(!failed.iter().any(|id| others.contains(&id.as_str())), "{failed:?}");
            let all = done(&plan, None);
            assert_eq!(all.iter().filter(|id| id.starts_with("vault.start")).count(), 1, "{all:?}");
        }
    }

    #[test]
    fn a_first_release_has_nothing_to_prove_and_nothing_to_go_back_to() {
        let plan = plan(&[]);
        assert!(!plan.steps.iter().any(|step| step.id.0 == schema::LAST));
        let undone = done(&plan, Some("flow-engine-a.verify"));
        let undone: Vec<_> = undone.iter().filter(|id| id.starts_with("undo ")).collect();
        assert_eq!(
            undone,
            [
                "undo flow-engine-a.follow",
                "undo flow-engine-a.start",
                "undo ledger.follow",
                "undo ledger.start"
            ]
        );
    }

    #[test]
    fn nothing_that_serves_is_touched_when_the_first_new_replica_fails_and_all_comes_back_when_the_watch_does()
     {
        let plan = plan(&TWO);
        for fails in ["load-images", "schema.smoke", "flow-engine-c.verify", "flow-engine-c.smoke"] {
            let ids = done(&plan, Some(fails));
            let touched = |id: &&&str| id.contains("flow-engine-a") || id.contains("flow-engine-b");
            assert_eq!(of_workers(&ids).iter().find(touched), None, "{fails}: {ids:?}");
        }
        let ids = done(&plan, Some("watch"));
        let undone: Vec<_> = of_workers(&ids).into_iter().filter(|id| id.starts_with("undo ")).collect();
        assert_eq!(
            undone[..5],
            [
                "undo flow-engine-a.admit",
                "undo flow-engine-a.follow",
                "undo flow-engine-a.start",
                "undo flow-engine-a.leave",
                "undo flow-engine-a.stop",
            ]
        );
    }

    #[test]
    fn an_edge_that_serves_is_replaced_after_the_replicas_unless_it_has_to_find_others() {
        let order = |plan: &Plan<BringUp>, ids: &[&str]| {
            let done = done(plan, None);
            let at =
                |id: &&str| done.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {done:?}"));
            assert!(ids.windows(2).all(|two| at(&two[0]) < at(&two[1])), "{ids:?}: {done:?}");
        };
        order(
            &plan(&TWO),
            &["flow-engine-a.admit", "portal.start", "portal.follow", "watch", "flow-engine-b.leave"],
        );
        order(&plan(&TWO[..3]), &["portal.start", "flow-engine-c.start"]);
        let crashed = |(name, mut container): (String, Container)| {
            if name == "portal" {
                container.running.status.state = State::BackingOff;
            }
            (name, container)
        };
        let (plan, _) = planned(TWO.iter().map(|name| crashed(serving(name))).collect(), None);
        order(&plan, &["portal.start", "flow-engine-c.start"]);
        let (plan, _) = planned(TWO.iter().map(|name| serving(name)).collect(), Some("as before"));
        order(&plan, &["portal.write-portal.cfg", "portal.start", "portal.reload", "flow-engine-c.start"]);
        // It would wait for every WebSocket, and nobody would listen.
        assert!(plan.text().contains("--no-deps --timeout 2"), "{}", plan.text());
    }

    #[test]
    fn the_edge_finds_its_earlier_configuration_before_it_is_what_it_was() {
        let (plan, _) = planned(TWO.iter().map(|name| serving(name)).collect(), Some("as before"));
        for fails in ["portal.start", "flow-engine-c.verify", "watch"] {
            let undone = done(&plan, Some(fails));
            let at = |id: &str| {
                undone.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {undone:?}"))
            };
            assert!(at("undo portal.start") < at("undo portal.write-portal.cfg"), "{fails}: {undone:?}");
        }
        let again = undo_of(&plan, "portal.start");
        assert!(again.contains("cat >") && again.contains("/1.0.0-a/compose/0/compose.yaml"), "{again}");
        assert!(again.contains("as before"), "{again}");
        let restored = undo_of(&plan, "portal.write-portal.cfg");
        assert!(restored.contains("restore-edge") && restored.contains("as before"), "{restored}");
    }

    #[test]
    fn each_service_comes_back_by_the_project_that_made_its_container() {
        let mut containers: BTreeMap<_, _> = TWO.iter().map(|name| serving(name)).collect();
        let older = "/state/qa/releases/0.9.0-z/compose/0/compose.yaml";
        containers.get_mut("store").unwrap().file = older.into();
        let (plan, _) = planned(containers, None);
        assert!(undo_of(&plan, "store.start").contains(older));
        let of_edge = undo_of(&plan, "portal.start");
        assert!(!of_edge.contains(older) && of_edge.contains("/1.0.0-a/compose/0/compose.yaml"), "{of_edge}");
    }

    #[test]
    fn what_is_no_longer_part_of_the_platform_is_ended_afterwards() {
        let found = TWO.into_iter().chain(["flow-engine-c", "flow-engine-d", "mailer"]);
        let (plan, others) = planned(found.map(serving).collect(), None);
        let ids: Vec<&str> = others.iter().map(|step| step.id.0.as_str()).collect();
        assert_eq!(ids, ["flow-engine-d.stop", "mailer.stop"]);
        assert!(!plan.text().contains("flow-engine-d") && !plan.text().contains("mailer"));
    }

    #[test]
    fn one_replica_more_is_started_and_nothing_that_serves_is_touched() {
        let (platform, mut environment) = qa();
        environment.sizes.get_mut(platform.workers.service().0).unwrap().replicas = Some(3);
        let own = |(name, mut one): (String, Container)| {
            one.running.release = Some("2.0.0-b".to_owned());
            (name, one)
        };
        let mut seen = seen(TWO.iter().map(|name| own(serving(name))).collect(), Some("as before"));
        let joins = Networks::from([("p_store--flow-engine-d".to_owned(), "10.210.1.2".to_owned())]);
        seen.deploy.stays = TWO.iter().map(|name| ((*name).to_owned(), Networks::new())).collect();
        seen.deploy.stays.insert("store".to_owned(), joins);
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        let ids = done(&plan, None);
        let at = |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
        let order = ["networks", "store.join", "store.start", "portal.reload", "flow-engine-c.start"];
        assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{ids:?}");
        for touched in ["flow-engine-a.start", "flow-engine-a.stop", "flow-engine-b.stop", "portal.join"] {
            assert!(!ids.iter().any(|id| id == touched), "{touched}: {ids:?}");
        }
        let text = |id: &str| {
            serde_json::to_string(plan.steps.iter().find(|step| step.id.0 == id).unwrap()).unwrap()
        };
        assert!(text("networks").contains(r#""flow-engine-c","flow-engine-d""#), "{}", text("networks"));
        assert!(text("store.join").contains("--ip 10.210.1.2 --alias store"), "{}", text("store.join"));
        for id in ["store.start", "portal.start"] {
            assert!(!text(id).contains(r#""up""#) && text(id).contains("wait_for"), "{}", text(id));
        }
        let failed = done(&plan, Some("flow-engine-c.verify"));
        let undone: Vec<_> = failed.iter().filter(|id| id.starts_with("undo ")).collect();
        assert!(!undone.iter().any(|id| id.contains("store") || id.contains("engine-a")), "{undone:?}");
    }

    #[test]
    fn what_is_replaced_comes_back_in_the_networks_that_it_had_joined() {
        let mut containers: BTreeMap<_, _> = TWO.iter().map(|name| serving(name)).collect();
        let joined = ("p_store--flow-engine-c".to_owned(), "10.210.1.2".to_owned());
        containers.get_mut("store").unwrap().networks = [joined].into();
        let undo = undo_of(&planned(containers, None).0, "store.start");
        assert!(
            undo.contains("network connect --ip 10.210.1.2 --alias store p_store--flow-engine-c p-store-1")
        );
        assert!(undo.contains("/1.0.0-a/compose/0/compose.yaml"), "{undo}");
    }

    #[test]
    fn a_service_is_started_whatever_becomes_of_others() {
        let args = |service| serde_json::to_string(&up(&Project::default(), &[], service).args).unwrap();
        assert!(args(Some("store")).contains("label=com.docker.compose.service=$service"));
        assert!(args(Some("store")).contains(r#""store""#), "{}", args(Some("store")));
    }
}
