//! The roll on this engine: containers of one project, which Compose makes from the files of the release. Pure.
//!
//! Compose acts on one replica at a time, and never on what it starts after: the others stay as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, Platform, Service, Unit, Value};

use super::deployed::{Container, Deploy, project_of};
use super::lower::{UP_LIMIT_SECONDS, up, written};
use super::observe::{ENGINE_VARIABLES, Observed};
use super::project::Project;
use crate::engines::process::lower::{BringUp, Prepare};
use crate::engines::roll::edge::Edge;
use crate::engines::roll::schema::{self, Proof};
use crate::engines::roll::{Replicas, Slot, Workers, leaves};
use artifacts::containers::tree;
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
    let workers = Workers::of(platform, environment, &seen.instance, around);
    let proven = proof(platform, around, &workers, &ready);
    ready = go_on(&mut steps, proven);
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
    steps.extend(workers.roll(ready, watch));
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

/// The proof that what serves can work with the new schema, where it has to be given. The replica for it is a container of the
/// project that served so far, but for its database.
fn proof(
    platform: &Platform,
    around: &Surroundings<'_>,
    workers: &Workers<'_>,
    needs: &[StepId],
) -> Vec<Step<BringUp>> {
    let (seen, project) = (around.seen, &around.seen.project);
    let Some((free, old)) = schema::places(workers) else { return vec![] };
    let (free, old) = (&workers.slots[free], around.deploy.containers.get(&workers.slots[old].name()));
    let old = old.and_then(|old| Some((old, old.running.identity.as_ref()?)));
    let Some((old, running)) =
        old.filter(|(_, running)| schema::changes(platform, around.environment, &seen.instance, &running.id))
    else {
        return vec![];
    };
    let migrations = platform.services.iter().find(|service| service.id == platform.database.migrations);
    let named = |service: &Service| service.variable(&Value::Text(platform.database.name)).map(str::to_owned);
    let (Some(migrations), Ok(of_workers)) = (migrations, named(free.service)) else { return vec![] };
    let Ok(of_migrations) = named(migrations) else { return vec![] };
    let scratch = schema::scratch(platform);
    let name = free.name();
    // What an earlier run has left goes first.
    let run = |project: &Project, container: &str, words: &[&str]| {
        let script = format!("{{ {REMOVE}\n}} && shift && \"$@\"");
        let mut argv = ["sh", "-c", &script, &project.docker, container].map(str::to_owned).to_vec();
        argv.extend(project.argv(&[&["run", "--no-deps", "--name", container], words].concat()));
        Action::Exec(exec(argv))
    };
    let of = |variable: &str| format!("{variable}={scratch}");
    let once = |words: &[&str]| {
        let variable = of(&of_migrations);
        let words = [&["--rm", "--no-TTY", "--env", &variable], words].concat();
        run(project, &project.container("schema"), &words)
    };
    let discard = tree(&platform.containers, platform.database.discard);
    Proof {
        platform,
        instance: &seen.instance,
        running,
        place: name.clone(),
        migrate: once(&[migrations.id.0]),
        // None can have been run: nothing runs them on this engine.
        contract: None,
        discard: once(&["--entrypoint", "sh", migrations.id.0, &discard]),
        start: vec![
            run(
                &project_of(old, project),
                &project.container(&name),
                &["--detach", "--service-ports", "--env", &of(&of_workers), &name],
            ),
            around.follow(&name, vec![]).action,
        ],
        stop: vec![around.remove(&name), around.supervise(ServiceRequest::Remove(name.as_str().into()))],
    }
    .steps(needs.to_vec())
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
    let before = around.served().or_else(|| names.iter().find_map(|name| around.deploy.containers.get(name)));
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
    /// A replica of the release that served so far: its project tells how every service ran.
    fn served(&self) -> Option<&Container> {
        let slots = self.platform.slots(self.environment);
        let workers = slots.iter().filter(|unit| self.platform.is_worker(unit));
        let old = |unit: &&Unit<'_>| self.slot(unit) == Slot::Old;
        workers.filter(old).find_map(|unit| self.deploy.containers.get(&unit.name()))
    }

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

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use artifacts::containers::edge::configured;
    use runner::supervisor::protocol::{HealthState, ServiceStatus, State};
    use vocabulary::model::environment::{EngineKind, Size, Tier};

    use super::*;
    use crate::engines::compose::deployed::ReleasedImage;
    use crate::engines::process::instance::{Instance, ReleaseId};
    use crate::engines::roll::WATCH;
    use crate::engines::roll::running::Running;
    use crate::engines::roll::tests::done;

    fn of(id: &str) -> ReleaseId {
        ReleaseId { id: id.to_owned(), flows_rev: "f".repeat(64) }
    }

    /// A container of the first release.
    fn serving(name: &str) -> (String, Container) {
        let status = ServiceStatus {
            name: ServiceName(name.to_owned()),
            state: State::Running,
            health: HealthState::Healthy,
            pid: Some(1),
            started_ms: Some(1),
            restarts: 0,
            reason: None,
            ports: BTreeMap::new(),
            log: PathBuf::new(),
        };
        let (release, identity) = (Some("1.0.0-a".to_owned()), Some(of("1.0.0-a")));
        let running = Running { status, spec: ProcessSpec::default(), release, identity, held: false };
        let file = "/state/qa/releases/1.0.0-a/compose/0/compose.yaml".into();
        (name.to_owned(), Container { running, file, image: "sha256:0".to_owned() })
    }

    fn plan(found: &[&str]) -> Plan<BringUp> {
        let platform = second_platform::platform();
        let replicas = Size { replicas: Some(2), ..Size::default() };
        let environment = Environment {
            name: "qa".to_owned(),
            tier: Tier::Staging,
            engine: EngineKind::Compose,
            sizes: [(platform.workers.service().to_string(), replicas)].into(),
            ..Environment::default()
        };
        let folder = PathBuf::from("/state/qa/releases/2.0.0-b/compose/0");
        let seen = Observed {
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
                containers: found.iter().map(|name| serving(name)).collect(),
                edge: Some(configured(&platform, &platform.slots(&environment)).unwrap()),
                ..Deploy::default()
            },
            ..Observed::default()
        };
        let plan = roll_out(&platform, &environment, &seen, WATCH);
        assert_eq!(plan.validate(), [""; 0]);
        plan
    }

    fn of_workers(ids: &[String]) -> Vec<&str> {
        ids.iter().map(String::as_str).filter(|id| id.contains("flow-engine-")).collect()
    }

    const TWO: [&str; 4] = ["flow-engine-a", "flow-engine-b", "store", "portal"];

    #[test]
    fn images_and_the_schema_come_before_anything_that_serves_is_touched() {
        let plan = plan(&TWO);
        let ids = done(&plan, None);
        let at = |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
        let order = ["load-images", "database.start", schema::LAST, "schema.run", "services.start"];
        assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{ids:?}");
        assert!(at("services.start") < at("flow-engine-c.start"), "{ids:?}");
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
    }

    #[test]
    fn a_first_release_has_nothing_to_prove_and_nothing_to_go_back_to() {
        let plan = plan(&[]);
        assert!(!plan.steps.iter().any(|step| step.id.0 == schema::LAST));
        let undone = done(&plan, Some("flow-engine-a.verify"));
        let undone: Vec<_> = undone.iter().filter(|id| id.starts_with("undo ")).collect();
        assert_eq!(undone, ["undo flow-engine-a.follow", "undo flow-engine-a.start"]);
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
                "undo flow-engine-b.leave",
                "undo flow-engine-b.stop",
                "undo flow-engine-b.drain",
                "undo flow-engine-a.admit",
                "undo flow-engine-a.follow",
            ]
        );
    }
}
