//! The proof of a new schema, given by processes. Pure.

use vocabulary::model::{Command, Unit, Value};

use super::instance::{Instance, ReleaseId};
use super::lower::{BringUp, Surroundings, argv_of, environment, id, process_of, spec};
use super::resolve::Resolver;
use crate::deployment::releases::Installed;
use crate::engines::roll::schema::{Proof, scratch};
use runner::plan::action::{Action, Exec, ServiceRequest, Supervise};
use runner::plan::argument::Arg;
use runner::plan::step::{Step, StepId};

/// `VARIABLE FILE... -- COMMAND`: runs it with a folder of these files only, which goes with it.
const ONLY: &str = r#"folder=$(mktemp -d) && trap 'rm -rf -- "$folder"' EXIT || exit 1
while [ "$1" != -- ]; do cp -- "$1" "$folder" && shift || exit 1; done
shift
export "$0=$folder"
"$@""#;

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
    let run = |command: &Command, before: Vec<String>| {
        let argv = argv_of(around, migrations, command, process_of(migrations).identity);
        let mut argv = before.into_iter().chain(argv);
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
    let discard = || run(&discard, vec![]);
    let migrate = &process_of(migrations).commands[0];
    // Others of the release wait until somebody asks for them.
    let of_contract: Vec<String> = around.seen.contracted.union(&around.seen.contract).cloned().collect();
    let contract = database.contract.filter(|_| !of_contract.is_empty()).map(|contract| {
        let files = of_contract.iter().map(|path| old.root.join(path).display().to_string());
        let words = ["sh", "-c", ONLY, contract.variable].map(str::to_owned);
        run(migrate, words.into_iter().chain(files).chain(["--".to_owned()]).collect())
    });
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
        vacate: around.seen.running.contains_key(&name).then(remove),
        migrate: run(migrate, vec![]),
        contract,
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
