//! Proves that what runs can work with another schema, before the real database is changed: on a scratch database with that
//! schema, a replica of the running release has to pass its smoke. Pure.

use std::path::Path;

use vocabulary::model::environment::Environment;
use vocabulary::model::{Command, Contract, Platform, Unit, Value};

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

/// The steps: the migrations of the instance's release, and then the contract migrations of the running one where they were
/// run, or are to be. `running` is the release that runs, `place` where its replica can be started.
pub fn proof(around: &Surroundings<'_>, running: &ReleaseId, place: &Unit<'_>) -> Vec<Step<BringUp>> {
    let Resolver { platform, instance, units, .. } = &around.resolver;
    let database = &platform.database;
    let scratch = format!("{}_next", database.name);
    let Some(migrations) = units.iter().find(|unit| unit.service.id == database.migrations) else {
        return vec![];
    };
    let named = |unit: &Unit<'_>| unit.service.variable(&Value::Text(database.name));
    let (Ok(of_migrations), Ok(of_workers)) = (named(migrations), named(place)) else { return vec![] };
    let old = old_instance(instance, running);
    let run = |command: &Command, contract: Option<Contract>| {
        let mut argv = argv_of(around, migrations, command, process_of(migrations).identity).into_iter();
        let mut env = environment(around, migrations, &process_of(migrations).commands[0]);
        env.insert(of_migrations.to_owned(), Arg::from(scratch.clone()));
        if let Some(Contract { folder, variable }) = contract {
            env.insert(variable.to_owned(), Arg::from(old.root.join(folder).display().to_string()));
        }
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
    let discard = || run(&discard, None);
    let migrate = &process_of(migrations).commands[0];
    let contract =
        database.contract.filter(|_| !(around.seen.contracted.is_empty() && around.seen.contract.is_empty()));
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
            "make the migrations compatible with {}, which serves while they run and afterwards",
            running.id
        )),
        ..Step::new(format!("schema.{what}"), title, action)
    };
    let native = |roll: Roll| Action::Native(BringUp::Roll(roll));
    let contracted = contract.map(|_| {
        let title = format!("run the contract migrations on {scratch}");
        step("contract", title, run(migrate, contract), "migrate")
    });
    let last = if contract.is_some() { "contract" } else { "migrate" };
    let mut steps = vec![
        Step {
            needs: prepared.into_iter().chain([format!("{ready}.ready").into()]).collect(),
            ..Step::new("schema.clear", format!("drop what is left of {scratch}"), discard())
        },
        Step {
            undo: Some(discard()),
            ..step("migrate", format!("make {scratch} with the new schema"), run(migrate, None), "clear")
        },
    ];
    steps.extend(contracted);
    steps.extend([
        step(
            "hold",
            format!("hold {name} back: no requests and no tasks"),
            Action::Write(Write {
                path: instance.held(&name),
                contents: running.id.as_str().into(),
                mode: 0o600,
            }),
            last,
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
        step("discard", format!("drop {scratch}"), discard(), "stop"),
    ]);
    steps
}

/// The same platform as the running release has it.
fn old_instance(instance: &Instance, running: &ReleaseId) -> Instance {
    let root = Installed::at(&instance.releases(), &running.id).tree();
    Instance { root, release: Some(running.clone()), ..instance.clone() }
}

/// Whether a release has migrations that the running one has not, and that its deploy runs. A release that has fewer changes
/// nothing: what the database has already stays.
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
    let waits = |path: &str| {
        platform.database.contract.is_some_and(|contract| Path::new(path).starts_with(contract.folder))
    };
    next.keys().any(|path| !running.contains_key(path) && !waits(path))
}
