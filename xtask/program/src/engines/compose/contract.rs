//! Runs the contract migrations of the release that runs, in containers. Pure.

use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, Unit};

use super::deployed::Container;
use super::observe::Observed;
use super::roll::{Surroundings, proven, staged};
use crate::engines::process::lower::BringUp;
use crate::engines::roll::Replica;
use crate::engines::roll::contract::Contracting;
use artifacts::containers::tree;
use runner::plan::step::{Plan, StepId};

/// The plan, where the platform has contract migrations.
pub fn contract(platform: &Platform, environment: &Environment, seen: &Observed) -> Plan<BringUp> {
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    let slots = platform.slots(environment);
    let workers = || slots.iter().filter(|unit| platform.is_worker(unit));
    let mut steps = staged(around);
    let needs: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    let serving = || {
        let found = workers().filter_map(|unit| seen.deploy.containers.get_key_value(&unit.name()));
        found.filter(|(_, found)| !found.running.held)
    };
    // A killed run may have left the replica that was to give the proof.
    let is_free = |unit: &&Unit<'_>| !serving().any(|(name, _)| *name == unit.name());
    if let (Some(free), Some((_, old))) = (workers().find(is_free), serving().next()) {
        steps.extend(proven(around, old, free, &needs));
    }
    let run = platform.database.contract.map(|contract| {
        let all = format!("{}={}", contract.variable, tree(&platform.containers, contract.folder));
        let words = ["--env", &all, platform.database.migrations.0];
        around.once(&seen.project, &words)
    });
    let replica = |(name, found): (&String, &Container)| {
        Some(Replica { name: name.clone(), release: found.running.release.clone()? })
    };
    Contracting {
        environment,
        instance: &seen.instance,
        contracted: &seen.contracted,
        contract: &seen.contract,
        run,
        serving: serving().filter_map(replica).collect(),
    }
    .plan(steps)
}

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engines::compose::roll::tests::{TWO, qa, seen, serving};
    use crate::engines::roll::contract::{RECORD, RUN};
    use crate::engines::roll::schema::LAST;
    use crate::engines::roll::tests::done;

    fn plan(found: &[&str]) -> Plan<BringUp> {
        let ((mut platform, environment), containers) = (qa(), found.iter().map(|name| serving(name)));
        platform.database.contract =
            Some(vocabulary::model::Contract { folder: "sql/contract", variable: "MIGRATIONS_DIR" });
        let seen = Observed {
            contract: BTreeSet::from(["sql/contract/2.sql".to_owned()]),
            contracted: BTreeSet::from(["sql/contract/1.sql".to_owned()]),
            ..seen(containers.collect(), None)
        };
        contract(&platform, &environment, &seen)
    }

    #[test]
    fn the_real_database_changes_only_after_the_proof_and_the_record() {
        let plan = plan(&TWO);
        assert_eq!(plan.validate(), [""; 0]);
        let ids = done(&plan, None);
        let at = |id: &str| ids.iter().position(|one| one == id).unwrap_or_else(|| panic!("{id}: {ids:?}"));
        let order =
            ["schema.migrate", "schema.contract", "schema.smoke", LAST, RECORD, RUN, "flow-engine-a.smoke"];
        assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{ids:?}");
        assert!(ids.iter().any(|id| id == "flow-engine-b.smoke"), "{ids:?}");
        let text = |id: &str| {
            serde_json::to_string(plan.steps.iter().find(|step| step.id.0 == id).unwrap()).unwrap()
        };
        for (id, parts, on_scratch) in [
            ("schema.migrate", &["/2.0.0-b/"][..], true),
            // What serves was made by another project; others of its migrations are not run.
            ("schema.contract", &["/1.0.0-a/", "/sql/contract/1.sql:", "/sql/contract/2.sql:"], true),
            (RUN, &["/2.0.0-b/", "/sql/contract\""], false),
        ] {
            let text = text(id);
            assert!(parts.iter().all(|part| text.contains(part)), "{id}: {text}");
            assert_eq!(text.contains("flowship_next"), on_scratch, "{id}: {text}");
        }
        assert!(!text("schema.migrate").contains("sql/contract"), "{}", text("schema.migrate"));
        assert!(text(RECORD).contains(r"sql/contract/1.sql\nsql/contract/2.sql\n"), "{}", text(RECORD));
        let failed = done(&plan, Some("schema.smoke"));
        assert!(!failed.iter().any(|id| id == RUN || id == RECORD), "{failed:?}");
    }

    #[test]
    fn without_a_place_for_the_proof_nothing_is_run() {
        let full = plan(&["flow-engine-a", "flow-engine-b", "flow-engine-c", "store", "portal"]);
        assert_ne!(full.validate(), [""; 0], "the proof that it needs is missing");
    }
}
