//! The roll on this engine: containers of one project, which Compose makes from the files of the release. Pure.
//!
//! Compose acts on one replica at a time, and never on what it starts after: the others stay as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Unit};

use super::deployed::{Deploy, project_of};
use super::lower::{UP_LIMIT_SECONDS, up, written};
use super::observe::{ENGINE_VARIABLES, Observed};
use super::project::Project;
use crate::engines::process::lower::{BringUp, Prepare};
use crate::engines::roll::edge::Edge;
use crate::engines::roll::{Replicas, Slot, Workers, leaves};
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Exec, ServiceRequest, Supervise};
use runner::plan::argument::Arg;
use runner::plan::service::{LogFile, ProcessSpec, Restart, RestartPolicy, ServiceName, Stop};
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// Ends a container by its own stop signal and within its own time, and removes it; there may be none.
const REMOVE: &str = r#"found=$("$0" ps --all --quiet --no-trunc --filter "name=^/$1\$") || exit
[ -z "$found" ] || { "$0" stop "$found" && "$0" rm --force "$found"; }"#;

/// Runs a service that ends by itself, anew, and ends as it did.
const RUN: &str = r#"client=$0 container=$1; shift
"$@" || exit
code=$("$client" wait "$container") || exit
"$client" logs "$container" 2>&1
exit "$code""#;

struct Surroundings<'a> {
    platform: &'a Platform,
    environment: &'a Environment,
    seen: &'a Observed,
    deploy: &'a Deploy,
}

/// The plan that replaces the replicas of the workers, and brings everything else up to date.
pub fn roll_out(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watch: Duration,
) -> Plan<BringUp> {
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let (slots, project) = (platform.slots(environment), &seen.project);
    let mut steps = staged(around);
    let staged: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    let edge = edge(platform, around, &slots);
    let files = edge.map_or_else(Vec::new, |edge| edge.files());
    let mut needs: Vec<StepId> = staged.into_iter().chain(files.iter().map(|step| step.id.clone())).collect();
    steps.extend(files);

    // The database before its migrations, these before everything that reads it.
    let others = || slots.iter().filter(|unit| !platform.is_worker(unit));
    let (one_shots, stay): (Vec<_>, Vec<_>) =
        others().partition(|unit| unit.service.lifetime == Lifetime::OneShot);
    let (first, later): (Vec<_>, Vec<_>) =
        stay.into_iter().partition(|unit: &&Unit<'_>| unit.service.id == platform.database.port.service);
    let mut go_on = |steps: &mut Vec<Step<BringUp>>, more: Vec<Step<BringUp>>| {
        needs.extend(more.iter().map(|step| step.id.clone()));
        steps.extend(more);
        needs.clone()
    };
    let mut ready = go_on(&mut steps, vec![]);
    if !first.is_empty() {
        let started = services(around, "database", &first, ready);
        ready = go_on(&mut steps, started);
    }
    for unit in one_shots {
        let step = one_shot(around, unit, ready);
        ready = go_on(&mut steps, vec![step]);
    }
    if !later.is_empty() {
        let started = services(around, SERVICES, &later, ready);
        ready = go_on(&mut steps, started);
    }
    if let Some(reload) = edge.and_then(|edge| edge.reload(&format!("{SERVICES}.start"))) {
        ready = go_on(&mut steps, vec![reload]);
    }
    steps.extend(Workers::of(platform, environment, &seen.instance, around).roll(ready, watch));
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

/// The step that starts all services but the database and the replicas.
const SERVICES: &str = "services";

fn release(seen: &Observed) -> &str {
    seen.instance.release.as_ref().map_or("", |release| release.id.as_str())
}

fn edge<'a>(platform: &'a Platform, around: &Surroundings<'a>, slots: &'a [Unit<'a>]) -> Option<Edge<'a>> {
    let unit = slots.iter().find(|unit| platform.is_edge(unit))?;
    Some(Edge {
        platform,
        instance: &around.seen.instance,
        unit,
        configuration: around.deploy.edge.as_ref()?,
        runs: around.deploy.containers.contains_key(&unit.name()),
        is_stale: around.deploy.edge_is_stale,
    })
}

/// Whether the edge runs with another configuration than it is to have.
pub fn edge_differs(platform: &Platform, environment: &Environment, seen: &Observed) -> bool {
    let slots = platform.slots(environment);
    let around = Surroundings { platform, environment, seen, deploy: &seen.deploy };
    edge(platform, &around, &slots).is_some_and(|edge| edge.runs && edge.differs())
}

/// Everything that a roll needs is on this machine, and nothing of it runs yet.
fn staged(around: &Surroundings<'_>) -> Vec<Step<BringUp>> {
    let Surroundings { seen, deploy, .. } = around;
    let mut steps = vec![
        Prepare::InstallTools { programs: seen.programs.clone() }.step(),
        Step { needs: vec![], ..Prepare::RecordInstance.step() },
        Prepare::MakeSecrets.step(),
    ];
    if !deploy.images.is_empty() {
        steps.push(Prepare::LoadImages { images: deploy.images.clone() }.step());
    }
    steps.extend(deploy.pulled.iter().map(|image| {
        let name = image.split([':', '@']).next().unwrap_or_default().replace('/', "-");
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
    steps
}

/// Starts services, those whose definition or image has changed anew, and follows what they write.
fn services(
    around: &Surroundings<'_>,
    id: &str,
    units: &[&Unit<'_>],
    needs: Vec<StepId>,
) -> Vec<Step<BringUp>> {
    let names: Vec<String> = units.iter().map(|unit| unit.name()).collect();
    let before = names.iter().find_map(|name| around.deploy.containers.get(name));
    let with = |project: &Project, names: &[String]| {
        let words: Vec<&str> = ["--no-deps"].into_iter().chain(names.iter().map(String::as_str)).collect();
        Action::Exec(Exec { inherits: Some(inherited()), ..up(project, &words) })
    };
    let known: Vec<String> =
        names.iter().filter(|name| around.deploy.containers.contains_key(*name)).cloned().collect();
    let mut steps = vec![Step {
        needs,
        time_limit_ms: u64::from(UP_LIMIT_SECONDS + 30) * 1000,
        undo: before.map(|before| with(&project_of(before, &around.seen.project), &known)),
        remedy: Some("fix what the last lines of the containers name; see docs/containers.md".to_owned()),
        ..Step::new(
            format!("{id}.start"),
            format!("start {} unless unchanged, until healthy", names.join(", ")),
            with(&around.seen.project, &names),
        )
    }];
    let started = steps[0].id.clone();
    steps.extend(names.iter().map(|name| around.follow(name, vec![started.clone()])));
    steps
}

fn one_shot(around: &Surroundings<'_>, unit: &Unit<'_>, needs: Vec<StepId>) -> Step<BringUp> {
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
            found.running.slot(release(self.seen), self.seen.project.files.contains(&found.file))
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
        vec![started, followed]
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
        vec![stopped, left]
    }
}

impl Surroundings<'_> {
    /// A container of its own, whatever was there.
    fn create(&self, project: &Project, name: &str) -> Action<BringUp> {
        let words = ["up", "--detach", "--no-deps", "--no-build", "--force-recreate", name];
        Action::Exec(exec(project.argv(&words)))
    }

    fn remove(&self, name: &str) -> Action<BringUp> {
        let project = &self.seen.project;
        let argv = ["sh", "-c", REMOVE, &project.docker, &project.container(name)];
        Action::Exec(exec(argv.map(str::to_owned).to_vec()))
    }

    fn supervise(&self, request: ServiceRequest) -> Action<BringUp> {
        Action::Supervise(Supervise { state: self.seen.instance.supervisor(), request })
    }

    /// What a container writes, as a log beside those of processes. The same whatever the release.
    fn follow(&self, name: &str, needs: Vec<StepId>) -> Step<BringUp> {
        let project = &self.seen.project;
        let argv = [&project.docker, "logs", "--follow", &project.container(name)].map(Arg::from);
        let variables = self.seen.variables.iter();
        let env: BTreeMap<String, Arg> =
            variables.map(|(name, value)| (name.clone(), Arg::from(value.as_str()))).collect();
        let spec = ProcessSpec {
            name: ServiceName(name.to_owned()),
            argv: argv.into(),
            env,
            cwd: self.seen.instance.folder.clone(),
            restart: Restart { policy: RestartPolicy::Always, ..Restart::default() },
            stop: Stop { grace_ms: 2_000, ..Stop::default() },
            log: LogFile { path: self.seen.instance.log(name), ..LogFile::default() },
            ..ProcessSpec::default()
        };
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
fn inherited() -> Vec<String> {
    let own =
        ["PATH", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    own.into_iter().chain(ENGINE_VARIABLES).map(str::to_owned).collect()
}

fn exec(argv: Vec<String>) -> Exec {
    let mut words = argv.into_iter();
    Exec {
        program: words.next().unwrap_or_default(),
        args: words.map(Arg::from).collect(),
        inherits: Some(inherited()),
        ..Exec::default()
    }
}
