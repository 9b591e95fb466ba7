//! Proves that what runs can work with the schema of the next release, before that changes the real database: on a scratch
//! database with the new schema, a replica of the running release has to pass its smoke. Pure.

use vocabulary::model::environment::Environment;
use vocabulary::model::{Command, Platform, Unit, Value};

use super::instance::{Instance, ReleaseId};
use super::lower::{BringUp, Surroundings, argv_of, environment, id, process_of, spec};
use super::observe::Observed;
use super::resolve::Resolver;
use super::roll::files;
use crate::deployment::releases::Installed;
use crate::engines::roll::{Replica, Roll, START_LIMIT_MS};
use runner::plan::action::{Action, Exec, ServiceRequest, Supervise, Write};
use runner::plan::argument::Arg;
use runner::plan::step::{Step, StepId};

/// The step after which the real database may change.
pub const LAST: &str = "schema.discard";

/// The steps, where the running release differs from the next one in its migrations and a place is free; none otherwise.
/// `running` is the release that runs, `place` where its replica can be started.
pub fn proof(around: &Surroundings<'_>, running: &ReleaseId, place: &Unit<'_>) -> Vec<Step<BringUp>> {
    let Resolver { platform, instance, units, .. } = &around.resolver;
    let database = &platform.database;
    let scratch = format!("{}_next", database.name);
    let Some(migrations) = units.iter().find(|unit| unit.service.id == database.migrations) else {
        return vec![];
    };
    let named = |unit: &Unit<'_>| unit.service.variable(&Value::Text(database.name));
    let (Ok(of_migrations), Ok(of_workers)) = (named(migrations), named(place)) else { return vec![] };
    let run = |command: &Command| {
        let mut argv = argv_of(around, migrations, command, process_of(migrations).identity).into_iter();
        let mut env = environment(around, migrations, &process_of(migrations).commands[0]);
        env.insert(of_migrations.to_owned(), Arg::from(scratch.clone()));
        Action::Exec(Exec {
            program: argv.next().unwrap_or_default(),
            args: argv.map(Arg::from).collect(),
            env,
            cwd: Some(instance.root.clone()),
            ..Exec::default()
        })
    };
    let discard = Command {
        program: "sh",
        arguments: vec![Value::Tree(database.discard)],
        calls: vec![],
        variables: vec![],
    };
    let old = old_instance(instance, running);
    let resolver = Resolver { instance: &old, ..around.resolver };
    let mut process = spec(&Surroundings { resolver, ..*around }, place);
    process.env.insert(of_workers.to_owned(), Arg::from(scratch.clone()));
    let name = place.name();
    let replica = || Replica { name: name.clone(), release: running.id.clone() };
    let supervise = |request| Action::Supervise(Supervise { state: instance.supervisor(), request });
    let remove = || supervise(ServiceRequest::Remove(name.as_str().into()));
    let ready = platform.database.port.service;
    let prepared = [id::RECORD, id::INSTALL_TOOLS, id::INSTALL_MODULES, id::MAKE_SECRETS].map(StepId::from);
    let step = |what: &str, title: String, action: Action<BringUp>, needs: &str| Step {
        needs: vec![format!("schema.{needs}").into()],
        remedy: Some(format!(
            "make the migrations of the release compatible with {}, which serves while it is rolled out",
            running.id
        )),
        ..Step::new(format!("schema.{what}"), title, action)
    };
    let native = |roll: Roll| Action::Native(BringUp::Roll(roll));
    vec![
        Step {
            needs: prepared.into_iter().chain([format!("{ready}.ready").into()]).collect(),
            ..Step::new("schema.clear", format!("drop what is left of {scratch}"), run(&discard))
        },
        Step {
            undo: Some(run(&discard)),
            ..step(
                "migrate",
                format!("make {scratch} with the new schema"),
                run(&process_of(migrations).commands[0]),
                "clear",
            )
        },
        step(
            "hold",
            format!("hold {name} back: no requests and no tasks"),
            Action::Write(Write {
                path: instance.held(&name),
                contents: running.id.as_str().into(),
                mode: 0o600,
            }),
            "migrate",
        ),
        Step {
            undo: Some(remove()),
            ..step(
                "start",
                format!("start {name} with {} on {scratch}", running.id),
                supervise(ServiceRequest::Start(Box::new(process))),
                "hold",
            )
        },
        Step {
            time_limit_ms: START_LIMIT_MS,
            ..step(
                "verify",
                format!("{} starts on the new schema", running.id),
                native(Roll::Verify(replica())),
                "start",
            )
        },
        step(
            "smoke",
            format!("{} passes its smoke on the new schema", running.id),
            native(Roll::Smoke(replica())),
            "verify",
        ),
        step("stop", format!("stop {name}"), remove(), "smoke"),
        step("discard", format!("drop {scratch}"), run(&discard), "stop"),
    ]
}

/// The same platform as the running release has it.
fn old_instance(instance: &Instance, running: &ReleaseId) -> Instance {
    let root = Installed::at(&instance.releases(), &running.id).tree();
    Instance { root, release: Some(running.clone()), ..instance.clone() }
}

/// Whether a release has migrations that the running one has not. A release that has fewer changes nothing: what the
/// database has already stays.
pub fn changes(platform: &Platform, environment: &Environment, seen: &Observed, running: &str) -> bool {
    let units = platform.units(environment);
    let Some(migrations) = units.iter().find(|unit| unit.service.id == platform.database.migrations) else {
        return false;
    };
    let Some(next) = seen.instance.root.parent().map(Installed::in_folder) else { return true };
    let running = Installed::at(&seen.instance.releases(), running);
    let [running, next] = [running, next].map(|release| files(&release, migrations));
    // What cannot be compared may change everything.
    let (Some(running), Some(next)) = (running, next) else { return true };
    next.keys().any(|path| !running.contains_key(path))
}
