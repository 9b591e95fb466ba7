//! Turns intents into plans for this engine. Pure: the same intent on the same instance gives the same plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Lifetime, OnChange, Platform, Reaction, Unit};

use super::deployed::FILE;
use super::observe::Observed;
use super::project::Project;
use super::{monitoring, store};
use crate::engines::process::instance::ADDRESS;
use crate::engines::process::lower::{BringUp, Prepare, id, is_collected, log_labels};
use crate::engines::process::resolve::Resolver;
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Exec, Probe, ServiceRequest, Supervise, WaitFor, Write};
use runner::plan::argument::{Arg, Secret};
use runner::plan::service::{
    Health as Checked, LogFile, ProcessSpec, Restart, RestartPolicy, ServiceName, Stop, Watch, WatchAction,
};
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The key of the debugger's port.
pub const DEBUGGER: &str = "inspect";

/// What the steps need.
struct Surroundings<'a> {
    resolver: Resolver<'a>,
    seen: &'a Observed,
    watches: bool,
}

/// Seconds until every container is healthy: a dependency may be a minute late.
pub const UP_LIMIT_SECONDS: u32 = 240;
const READY_LIMIT_MS: u64 = 60_000;
const QUIET_MS: u64 = 150;

/// The plan that starts the platform, or updates what already runs.
pub fn bring_up(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    watches: bool,
) -> Plan<BringUp> {
    let units = platform.units(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &units };
    let around = &Surroundings { resolver, seen, watches };
    let mut steps = vec![
        Prepare::CheckFlows.step(),
        Prepare::InstallTools { programs: seen.programs.clone() }.step(),
        Prepare::RecordInstance.step(),
    ];
    let mut written = written(seen);
    written.extend(monitoring::files(resolver, seen, &|_| true));
    let inputs = written.iter().map(|step| step.id.clone());
    let inputs: Vec<StepId> = inputs.chain([id::RECORD, id::INSTALL_TOOLS].map(StepId::from)).collect();
    steps.extend(store::secrets(&resolver, seen.deploy.store.as_deref(), &inputs, |unit, needs| {
        let started = Step {
            needs,
            time_limit_ms: u64::from(UP_LIMIT_SECONDS + 30) * 1000,
            ..Step::new(
                format!("{}.start", unit.name()),
                format!("start {}, and wait until healthy", unit.name()),
                Action::Exec(up(&seen.project, &["--no-deps"], Some(&unit.name()))),
            )
        };
        let followed = followed(around, unit, started.id.clone());
        std::iter::once(started).chain(followed).collect()
    }));
    let trusted = monitoring::trusted(resolver, &seen.prefix, id::MAKE_SECRETS.into());
    let inputs = inputs.into_iter().chain([id::MAKE_SECRETS.into()]);
    let inputs = inputs.chain(trusted.iter().map(|step| step.id.clone()));
    let built: Vec<StepId> = seen.builds.iter().map(|(name, _)| format!("build-{name}").into()).collect();
    for (name, exec) in &seen.builds {
        steps.push(Step {
            needs: vec![id::CHECK_FLOWS.into()],
            time_limit_ms: 3_600_000,
            remedy: Some(format!(
                "see docs/images.md; without a registry: `{PROGRAM} image bases --from-packages`"
            )),
            ..Step::new(
                format!("build-{name}"),
                format!("build the image of {name}"),
                Action::Exec(exec.clone()),
            )
        });
    }
    steps.push(Step {
        needs: built.into_iter().chain(inputs).collect(),
        time_limit_ms: u64::from(UP_LIMIT_SECONDS + 30) * 1000,
        remedy: Some("fix what the last lines of its containers name; see docs/containers.md".to_owned()),
        ..Step::new(
            "up",
            "start the containers, in order, until they are healthy",
            Action::Exec(up(&seen.project, &["--remove-orphans"], None)),
        )
    });
    steps.extend(written);
    steps.extend(trusted);
    let is_followed =
        |unit: &Unit<'_>| steps.iter().any(|step| step.id.0 == format!("{}.follow", unit.name()));
    let rest = units.iter().filter(|unit| unit.service.lifetime != Lifetime::OneShot && !is_followed(unit));
    let rest: Vec<_> = rest.flat_map(|unit| followed(around, unit, "up".into())).collect();
    steps.extend(rest);
    Plan {
        intent: format!("bring up {} in containers", environment.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

/// What Compose reads of an environment.
pub fn written<N>(seen: &Observed) -> Vec<Step<N>> {
    let write = |id: String, path: PathBuf, contents: &str| {
        let name = path.file_name().unwrap_or_default().display();
        let title = format!("write {name} for this environment");
        Step::new(id, title, Action::Write(Write { path, contents: contents.into(), mode: 0o644 }))
    };
    let env = write("env".to_owned(), seen.project.env_file.clone(), &seen.env);
    let of_release = (!seen.deploy.project.is_empty())
        .then(|| write("project".to_owned(), seen.project.folder.join(FILE), &seen.deploy.project));
    let rendered = seen.rendered.iter().map(|artifact| {
        let name = artifact.path.rsplit('/').next().unwrap_or_default();
        write(format!("render-{name}"), seen.instance.root.join(&artifact.path), &artifact.contents)
    });
    std::iter::once(env).chain(of_release).chain(rendered).collect()
}

/// Stops everything after these steps, including the supervisor. Keeps the data, unless `volumes` says otherwise.
pub fn bring_down(
    first: Vec<Step<BringUp>>,
    target: &str,
    supervisor: PathBuf,
    project: &Project,
    volumes: bool,
) -> Plan<BringUp> {
    let stopped = Step {
        needs: first.iter().map(|step| step.id.clone()).collect(),
        remedy: Some(format!("`docker ps --all --filter name={}` shows what is left", project.name)),
        ..Step::new("down", "stop and remove the containers", Action::Exec(project.down(volumes)))
    };
    let shutdown = Step {
        // Their last lines are in the logs by then.
        after: vec![stopped.id.clone()],
        ..Step::new(
            "shutdown",
            "stop following them",
            Action::Supervise(Supervise { state: supervisor, request: ServiceRequest::Shutdown }),
        )
    };
    Plan {
        intent: format!("bring down {target}"),
        target: target.to_owned(),
        steps: first.into_iter().chain([stopped, shutdown]).collect(),
        on_failure: OnFailure::Keep,
    }
}

/// Starts the containers of one service, or of all, and looks at no others. When it fails, it prints their last lines, since
/// Compose names only the container. Containers that ran out of memory print nothing, so they are listed with their limit.
/// Compose would wait forever for a container that the engine keeps restarting, so the wait ends when one has failed five
/// times.
pub fn up(project: &Project, words: &[&str], service: Option<&str>) -> Exec {
    let limit = UP_LIMIT_SECONDS.to_string();
    let script = r#"client=$1 project=$2 words=$3 service=$4; shift 4
inspect() {
    "$client" ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        ${service:+--filter "label=com.docker.compose.service=$service"} |
        xargs --no-run-if-empty "$client" inspect --format "$1" 2>/dev/null | grep .
}
"$@" up --detach --wait --wait-timeout "$0" --no-build $words $service & up=$!
while sleep 1 >/dev/null 2>&1; do
    inspect '{{if and .State.Restarting (ge .RestartCount 5)}}{{.Name}} fails again and again{{end}}' >&2 &&
        kill $up && exit
done &
watch=$!
wait $up; code=$?
kill $watch 2>/dev/null
[ $code -ne 0 ] || exit 0
killed=$(inspect '{{if .State.OOMKilled}}{{.Name}} was killed for its memory: its limit is {{.HostConfig.Memory}} bytes{{end}}')
"$@" logs --no-color --tail 8 $service
echo "$killed" >&2
exit $code"#;
    let argv = [
        "-c".to_owned(),
        script.to_owned(),
        limit,
        project.docker.clone(),
        project.name.clone(),
        words.join(" "),
        service.unwrap_or_default().to_owned(),
    ];
    let argv = argv.into_iter().chain(project.argv(&[]));
    Exec {
        program: "sh".to_owned(),
        args: argv.map(Arg::from).collect(),
        cwd: Some(project.folder.clone()),
        ..Exec::default()
    }
}

/// What the supervisor does for a container: its log, its health checks, its sources.
fn followed(around: &Surroundings<'_>, unit: &Unit<'_>, runs: StepId) -> [Step<BringUp>; 2] {
    let name = unit.name();
    let state = around.resolver.instance.supervisor();
    let remedy = Some(format!("read `{PROGRAM} logs {name}`"));
    [
        Step {
            needs: vec![runs],
            remedy: remedy.clone(),
            ..Step::new(
                format!("{name}.follow"),
                format!("follow {name}"),
                Action::Supervise(Supervise {
                    state: state.clone(),
                    request: ServiceRequest::Start(Box::new(spec(around, unit))),
                }),
            )
        },
        Step {
            needs: vec![format!("{name}.follow").into()],
            time_limit_ms: READY_LIMIT_MS + 5_000,
            remedy,
            ..Step::new(
                format!("{name}.ready"),
                format!("{name} is healthy"),
                Action::WaitFor(WaitFor {
                    probe: Probe::Supervised { state, service: ServiceName(name.clone()) },
                    time_limit_ms: READY_LIMIT_MS,
                    interval_ms: 20,
                }),
            )
        },
    ]
}

fn spec(around: &Surroundings<'_>, unit: &Unit<'_>) -> ProcessSpec {
    let name = unit.name();
    let container = around.seen.project.container(&name);
    let mut ports: BTreeMap<String, u16> = unit
        .service
        .ports
        .iter()
        .filter_map(|port| {
            let key = crate::engines::process::instance::socket(unit, port.name);
            Some((port.name.to_owned(), *around.resolver.instance.ports.get(&key)?))
        })
        .collect();
    if unit.is_first() && unit.service.container.shape().is_some_and(|shape| shape.debugger.is_some()) {
        ports.extend(around.resolver.instance.ports.get(DEBUGGER).map(|port| (DEBUGGER.to_owned(), *port)));
    }
    ProcessSpec {
        health: Some(Checked { start_interval_ms: 200, ..Checked::of(is_healthy(around.seen, &container)) }),
        ports,
        watch: if around.watches { watches(around, unit) } else { vec![] },
        ..follower(&around.resolver, around.seen, &name)
    }
}

/// Prints what a container writes from its start on, and goes on when it was ended and runs again. The engine's client ends
/// with the container, and prints everything from the beginning when it is called again.
const FOLLOW: &str = r#"since=$("$0" inspect --format '{{.State.StartedAt}}' "$1") || exit
while "$0" logs --follow --since "$since" "$1"; do
    since=$("$0" inspect --format '{{.State.FinishedAt}}' "$1") || exit
    while runs=$("$0" inspect --format '{{.State.Running}}' "$1") || exit; [ "$runs" != true ]; do sleep 1; done
done"#;

/// What has the supervisor keep what a container writes as a log beside those of processes.
pub fn follower(resolver: &Resolver<'_>, seen: &Observed, name: &str) -> ProcessSpec {
    let (project, platform, environment) = (&seen.project, resolver.platform, resolver.environment);
    let is_collected = is_collected(platform, resolver);
    let unit = platform.slots(environment).into_iter().find(|unit| unit.name() == name);
    let argv = ["sh", "-c", FOLLOW, &project.docker, &project.container(name)].map(Arg::from);
    ProcessSpec {
        name: ServiceName(name.to_owned()),
        argv: argv.into(),
        env: engine(seen),
        cwd: seen.instance.folder.clone(),
        restart: Restart { policy: RestartPolicy::Always, ..Restart::default() },
        stop: Stop { grace_ms: 2_000, ..Stop::default() },
        log: LogFile {
            path: seen.instance.log(name),
            older: if is_collected { 9 } else { 1 },
            labels: unit.map_or_else(BTreeMap::new, |unit| log_labels(platform, environment, &unit)),
            // The folder of the environment keeps people out.
            others_read: is_collected,
            ..LogFile::default()
        },
        ..ProcessSpec::default()
    }
}

/// Whether the engine calls a container healthy.
pub fn is_healthy(seen: &Observed, container: &str) -> Probe {
    let script = "test \"$(\"$0\" inspect --format '{{.State.Health.Status}}' \"$1\")\" = healthy || \
                  { \"$0\" inspect --format '{{.State.Status}}, {{.State.Health.Status}}' \"$1\"; exit 1; }";
    let argv = ["sh", "-c", script, &seen.project.docker, container].map(Arg::from).into();
    Probe::Exec { argv, env: engine(seen) }
}

/// What is watched for a container: its own sources, and those of the one-shot services that it starts after.
fn watches(around: &Surroundings<'_>, unit: &Unit<'_>) -> Vec<Watch> {
    let changes = |of: &Unit<'_>| -> Vec<OnChange> {
        of.service.process.as_ref().map(|process| process.on_change.clone()).unwrap_or_default()
    };
    let units = around.resolver.units;
    let earlier = units.iter().filter(|other| unit.service.starts_after.contains(&other.service.id));
    let of_earlier = earlier.flat_map(|other| changes(other).into_iter().map(move |change| (other, change)));
    changes(unit)
        .into_iter()
        .map(|change| (unit, change))
        .chain(of_earlier)
        .map(|(changed, change)| watch(around, unit, changed, &change))
        .collect()
}

fn watch(around: &Surroundings<'_>, watcher: &Unit<'_>, changed: &Unit<'_>, change: &OnChange) -> Watch {
    let root = &around.resolver.instance.root;
    let mut ignore =
        ["node_modules", "*.swp", "*.swx", "*~", "*.tmp", ".#*", "4913"].map(str::to_owned).to_vec();
    let container = around.seen.project.container(&changed.name());
    let docker = |arguments: &[&str], log: &str| {
        let words = std::iter::once(around.seen.project.docker.as_str()).chain(arguments.iter().copied());
        exec(around, words.map(str::to_owned).collect(), log)
    };
    let actions = match &change.reaction {
        Reaction::Restart => {
            // The program in the container watches the scripts that it has loaded, and restarts itself.
            ignore.extend(["*.js", "*.mjs", "*.cjs"].map(str::to_owned));
            vec![docker(&["restart", &container], &format!("{}-restart", changed.name()))]
        }
        Reaction::ReloadFlows { port, path, token, .. } => {
            let number = around.resolver.own_port(watcher, *port).unwrap_or_default();
            let mut judge = around.seen.xtask.to_vec();
            judge.extend(["--root", &root.display().to_string(), "check", "flows"].map(str::to_owned));
            vec![
                exec(around, judge, "check-flows"),
                WatchAction::Http {
                    method: "POST".to_owned(),
                    url: format!("http://{ADDRESS}:{number}{path}"),
                    bearer: Some(Secret {
                        name: token.to_string(),
                        file: around.resolver.secret_file(*token),
                    }),
                },
            ]
        }
        Reaction::RunAgain => vec![docker(&["start", "--attach", &container], &changed.name())],
    };
    Watch {
        paths: change.paths.iter().map(|path| root.join(path)).collect(),
        ignore,
        debounce_ms: QUIET_MS,
        actions,
    }
}

fn exec(around: &Surroundings<'_>, argv: Vec<String>, log: &str) -> WatchAction {
    WatchAction::Exec {
        argv: words(argv),
        env: engine(around.seen),
        cwd: around.resolver.instance.root.clone(),
        log: around.resolver.instance.log(log),
        time_limit_ms: 60_000,
    }
}

/// Variables by which clients find the engine.
fn engine(seen: &Observed) -> BTreeMap<String, Arg> {
    seen.variables.iter().map(|(name, value)| (name.clone(), Arg::from(value.as_str()))).collect()
}

fn words(argv: Vec<String>) -> Vec<Arg> {
    argv.into_iter().map(Arg::from).collect()
}
