//! Runs the contract migrations of the release that runs, by processes. Pure.

use vocabulary::model::environment::Environment;
use vocabulary::model::{Contract, Platform, Unit};

use super::lower::{BringUp, Surroundings, one_shot, prepare, ready};
use super::observe::Observed;
use super::resolve::Resolver;
use super::schema;
use crate::engines::roll::Replica;
use crate::engines::roll::contract::Contracting;
use crate::engines::roll::places;
use runner::plan::action::Action;
use runner::plan::argument::Arg;
use runner::plan::step::{Plan, Step};

/// The plan, where the platform has contract migrations.
pub fn contract(platform: &Platform, environment: &Environment, seen: &Observed) -> Plan<BringUp> {
    let slots = places::now(platform, environment, &seen.running);
    let resolver = Resolver { platform, environment, instance: &seen.instance, units: &slots };
    let around = &Surroundings { resolver, seen, watches: false, inspect: None };
    let mut steps = prepare(around);
    let database = slots.iter().find(|unit| unit.service.id == platform.database.port.service);
    steps.extend(database.map(|unit| Step { needs: vec![], ..ready(around, unit) }));
    let workers = || slots.iter().filter(|unit| platform.is_worker(unit));
    // A killed run may have left the replica that was to give the proof.
    let is_free = |unit: &&Unit<'_>| seen.running.get(&unit.name()).is_none_or(|running| running.held);
    let free = workers().find(is_free);
    if let (Some(free), Some(release)) = (free, &seen.instance.release) {
        steps.extend(schema::proof(around, release, free));
    }
    let migrations = slots.iter().find(|unit| unit.service.id == platform.database.migrations);
    let serving = workers().filter_map(|unit| {
        let running = seen.running.get(&unit.name()).filter(|running| !running.held)?;
        let release = running.release.clone()?;
        Some(Replica { name: unit.name(), release })
    });
    Contracting {
        environment,
        instance: &seen.instance,
        contracted: &seen.contracted,
        contract: &seen.contract,
        run: migrations.zip(platform.database.contract).map(|(unit, contract)| run(around, unit, contract)),
        serving: serving.collect(),
    }
    .plan(steps)
}

fn run(around: &Surroundings<'_>, migrations: &Unit<'_>, contract: Contract) -> Action<BringUp> {
    let mut action = one_shot(around, migrations).action;
    if let Action::Exec(exec) = &mut action {
        let folder = around.resolver.instance.root.join(contract.folder);
        exec.env.insert(contract.variable.to_owned(), Arg::from(folder.display().to_string()));
    }
    action
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use artifacts::containers::edge::configured;
    use runner::plan::service::ProcessSpec;
    use vocabulary::model::environment::Tier;

    use super::*;
    use crate::engines::process::instance::{Instance, ReleaseId, sockets};
    use crate::engines::roll::contract::{RECORD, RUN};
    use crate::engines::roll::running::Running;
    use crate::engines::roll::schema::LAST;
    use crate::engines::roll::tests::healthy;

    /// Of a second platform, of which these replicas run.
    fn plan(contract_of: Option<Contract>, serving: &[&str], held: &[&str]) -> Plan<BringUp> {
        let mut platform = second_platform::platform();
        platform.database.contract = contract_of;
        let environment =
            Environment { name: "qa".to_owned(), tier: Tier::Staging, ..Environment::default() };
        let slots = platform.slots(&environment);
        let release = ReleaseId { id: "2.0.0-b".to_owned(), flows_rev: "f".repeat(64) };
        let running = |name: &&str| {
            let status = healthy(name);
            let (spec, identity) = (ProcessSpec::default(), Some(release.clone()));
            (
                (*name).to_owned(),
                Running {
                    status,
                    spec,
                    release: Some(release.id.clone()),
                    identity,
                    held: held.contains(name),
                },
            )
        };
        let ports =
            sockets(&slots, &environment).into_iter().map(|socket| socket.key).zip(20_000..).collect();
        let names = ["dbmate", "haproxy", "initdb", "node", "pg_isready", "postgres", "psql", "sh", "xtask"];
        let seen = Observed {
            instance: Instance {
                root: "/state/qa/releases/2.0.0-b/tree".into(),
                folder: "/state/qa".into(),
                ports,
                release: Some(release.clone()),
            },
            target: "qa".to_owned(),
            programs: names.map(|name| (name, vec![format!("/bin/{name}")])).into(),
            edge: Some(configured(&platform, &slots, &environment.edge).unwrap()),
            runs: true,
            running: serving.iter().chain(held).map(running).collect(),
            contracted: BTreeSet::from(["sql/contract/1.sql".to_owned()]),
            contract: BTreeSet::from(["sql/contract/1.sql".to_owned(), "sql/contract/2.sql".to_owned()]),
            ..Observed::default()
        };
        contract(&platform, &environment, &seen)
    }

    const CONTRACT: Contract = Contract { folder: "sql/contract", variable: "MIGRATIONS_DIR" };

    #[test]
    fn the_real_database_changes_only_after_the_proof_and_the_record() {
        let plan = plan(Some(CONTRACT), &["flow-engine-a"], &[]);
        assert_eq!(plan.validate(), [""; 0]);
        let step =
            |id: &str| plan.steps.iter().find(|step| step.id.0 == id).unwrap_or_else(|| panic!("{id}"));
        let text = |id: &str| serde_json::to_string(step(id)).unwrap();
        for (id, needs) in [
            ("schema.contract", "schema.migrate"),
            ("schema.hold", "schema.contract"),
            ("schema.start", "schema.hold"),
            ("schema.verify", "schema.start"),
            ("schema.smoke", "schema.verify"),
            ("schema.stop", "schema.smoke"),
            ("schema.discard", "schema.stop"),
            (RECORD, LAST),
            (RUN, RECORD),
            ("flow-engine-a.smoke", RUN),
        ] {
            assert_eq!(step(id).needs, [needs.into()], "{id}");
        }
        let tree = "/state/qa/releases/2.0.0-b/tree";
        let folder = format!(r#""MIGRATIONS_DIR":"{tree}/sql/contract""#);
        assert!(text(RUN).contains(&folder) && !text(RUN).contains("flowship_next"), "{}", text(RUN));
        let both = ["1.sql", "2.sql"].map(|file| format!("{tree}/sql/contract/{file}"));
        assert!(
            both.iter().all(|file| text("schema.contract").contains(file)),
            "{}",
            text("schema.contract")
        );
        assert!(text("schema.contract").contains("flowship_next"), "{}", text("schema.contract"));
        assert!(!text("schema.migrate").contains("sql/contract"), "{}", text("schema.migrate"));
        assert!(text(RECORD).contains(r"sql/contract/1.sql\nsql/contract/2.sql\n"), "{}", text(RECORD));
    }

    #[test]
    fn what_a_killed_run_left_in_the_place_of_the_proof_is_ended_first() {
        let plan = plan(Some(CONTRACT), &["flow-engine-a", "flow-engine-b"], &["flow-engine-c"]);
        assert_eq!(plan.validate(), [""; 0]);
        let index =
            |id: &str| plan.steps.iter().position(|step| step.id.0 == id).unwrap_or_else(|| panic!("{id}"));
        let vacate = &plan.steps[index("schema.vacate")];
        assert!(
            serde_json::to_string(&vacate.action).unwrap().contains(r#""remove":"flow-engine-c""#),
            "{vacate:?}"
        );
        assert_eq!(plan.steps[index("schema.clear")].needs, ["schema.vacate".into()]);
        assert!(!plan.steps.iter().any(|step| step.id.0 == "flow-engine-c.smoke"), "it does not serve");
    }

    #[test]
    fn without_a_place_for_the_proof_or_a_folder_nothing_is_run() {
        let full = plan(Some(CONTRACT), &["flow-engine-a", "flow-engine-b", "flow-engine-c"], &[]);
        assert_ne!(full.validate(), [""; 0], "the proof that it needs is missing");
        let none = plan(None, &["flow-engine-a"], &[]);
        assert!(!none.steps.iter().any(|step| step.id.0 == RUN || step.id.0 == "schema.contract"));
    }
}
