//! The proof of a new schema, given by processes. Pure.

use vocabulary::model::{Command, Contract, Unit, Value};

use super::instance::{Instance, ReleaseId};
use super::lower::{BringUp, Surroundings, argv_of, environment, id, process_of, spec};
use super::resolve::Resolver;
use crate::deployment::releases::Installed;
use crate::engines::roll::schema::{Proof, scratch};
use runner::plan::action::{Action, Exec, ServiceRequest, Supervise};
use runner::plan::argument::Arg;
use runner::plan::step::{Step, StepId};

/// The steps: the migrations of the instance's release, and then the contract migrations of the running one where they were
/// run, or are to be. `running` is the release that runs, `place` where its replica can be started.
pub fn proof(around: &Surroundings<'_>, running: &ReleaseId, place: &Unit<'_>) -> Vec<Step<BringUp>> {
    let Resolver { platform, instance, units, .. } = &around.resolver;
    let database = &platform.database;
    let scratch = scratch(platform);
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
    let supervise = |request| Action::Supervise(Supervise { state: instance.supervisor(), request });
    let remove = || supervise(ServiceRequest::Remove(name.as_str().into()));
    let prepared = [id::RECORD, id::INSTALL_TOOLS, id::INSTALL_MODULES, id::MAKE_SECRETS].map(StepId::from);
    let ready = format!("{}.ready", platform.database.port.service);
    Proof {
        platform,
        instance,
        running,
        place: name.clone(),
        migrate: run(migrate, None),
        contract: contract.map(|_| run(migrate, contract)),
        discard: discard(),
        start: vec![supervise(ServiceRequest::Start(Box::new(process)))],
        stop: vec![remove()],
    }
    .steps(prepared.into_iter().chain([ready.into()]).collect())
}

/// The same platform as the running release has it.
fn old_instance(instance: &Instance, running: &ReleaseId) -> Instance {
    let root = Installed::at(&instance.releases(), &running.id).tree();
    Instance { root, release: Some(running.clone()), ..instance.clone() }
}
