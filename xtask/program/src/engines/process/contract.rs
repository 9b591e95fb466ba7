//! Runs the contract migrations of the release that runs: on a scratch database first, where a replica of it has to pass its
//! smoke. Pure.

use vocabulary::model::environment::Environment;
use vocabulary::model::{Contract, Platform, Unit};

use super::lower::{BringUp, Surroundings, one_shot, prepare, ready};
use super::observe::Observed;
use super::resolve::Resolver;
use super::schema;
use crate::deployment::contracted;
use crate::engines::roll::{Replica, Roll};
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Write};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step};

/// The step that changes the real database.
pub const RUN: &str = "contract.run";
const RECORD: &str = "contract.record";

/// The plan, where the platform has contract migrations.
pub fn contract(platform: &Platform, environment: &Environment, seen: &Observed) -> Plan<BringUp> {
    let slots = platform.slots(environment);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let mut steps = prepare(seen);
    let database = slots.iter().find(|unit| unit.service.id == platform.database.port.service);
    steps.extend(database.map(|unit| Step { needs: vec![], ..ready(around, unit) }));
    let workers = || slots.iter().filter(|unit| platform.is_worker(unit));
    let free = workers().find(|unit| !seen.running.contains_key(&unit.name()));
    if let (Some(free), Some(release)) = (free, &seen.instance.release) {
        steps.extend(schema::proof(around, release, free));
    }
    let migrations = slots.iter().find(|unit| unit.service.id == platform.database.migrations);
    if let (Some(migrations), Some(contract)) = (migrations, platform.database.contract) {
        steps.push(record(seen));
        steps.push(run(around, migrations, contract));
    }
    steps.extend(workers().filter_map(|unit| smoke(seen, unit)));
    Plan {
        intent: format!("run the contract migrations of {}", environment.name),
        target: seen.target.clone(),
        steps,
        on_failure: OnFailure::Undo,
    }
}

/// Without the proof, what it needs does not exist, and nothing is run.
fn record(seen: &Observed) -> Step<BringUp> {
    let lines = seen.contracted.union(&seen.contract).map(|path| format!("{path}\n"));
    Step {
        needs: vec![schema::LAST.into()],
        ..Step::new(
            RECORD,
            "record that releases without these migrations do not run here any more",
            Action::Write(Write {
                path: contracted::file(&seen.instance.folder),
                contents: lines.collect::<String>().into(),
                mode: 0o644,
            }),
        )
    }
}

fn run(around: &Surroundings<'_>, migrations: &Unit<'_>, contract: Contract) -> Step<BringUp> {
    let mut step = one_shot(around, migrations);
    if let Action::Exec(exec) = &mut step.action {
        let folder = around.resolver.instance.root.join(contract.folder);
        exec.env.insert(contract.variable.to_owned(), Arg::from(folder.display().to_string()));
    }
    Step {
        id: RUN.into(),
        title: "run the contract migrations".to_owned(),
        needs: vec![RECORD.into()],
        ..step
    }
}

fn smoke(seen: &Observed, unit: &Unit<'_>) -> Option<Step<BringUp>> {
    let name = unit.name();
    let release = seen.running.get(&name)?.release.clone()?;
    Some(Step {
        needs: vec![RUN.into()],
        remedy: Some(format!("read `{PROGRAM} logs {} {name}`", seen.target)),
        ..Step::new(
            format!("{name}.smoke"),
            format!("{name} passes its smoke on the contracted schema"),
            Action::Native(BringUp::Roll(Roll::Smoke(Replica { name, release }))),
        )
    })
}
