//! Checks, rotates and revokes the secrets of containers that run. Each acts on the database in a container of its own, as the
//! migrations do. Pure.

use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;

use super::deployed::project_of;
use super::observe::Observed;
use super::roll::{Surroundings, release};
use crate::engines::process::lower::BringUp;
use crate::engines::roll::rotation::{self, Change};
use artifacts::containers::tree;
use runner::plan::step::Plan;

/// The plan.
pub fn change(
    platform: &Platform,
    environment: &Environment,
    seen: &Observed,
    change: Change,
) -> Plan<BringUp> {
    let around = &Surroundings { platform, environment, seen, deploy: &seen.deploy };
    // What was started last has the script, and the secrets where the others have them.
    let of_release =
        seen.deploy.containers.values().find(|one| one.running.release.as_deref() == Some(release(seen)));
    let project = of_release.map_or_else(|| seen.project.clone(), |one| project_of(one, &seen.project));
    let script = tree(&platform.containers, platform.database.credential);
    let database = |words: &[&'static str]| {
        let service = platform.database.migrations.0;
        around.once(&project, &[&["--entrypoint", "sh", service, &script], words].concat())
    };
    let slots = platform.slots(environment);
    rotation::plan(platform, environment, &seen.target, (&slots, change), &database)
}

/// Plans of a second platform: nothing here knows a service by its name.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::compose::roll::tests::{TWO, qa, seen, serving};

    #[test]
    fn the_database_is_asked_by_the_project_of_the_release_that_runs() {
        let (platform, environment) = qa();
        let later = |name: &str| {
            let (name, mut one) = serving(name);
            one.running.release = Some("2.0.0-b".to_owned());
            one.file = "/state/qa/compose/2.0.0-b/1/compose.yaml".into();
            (name, one)
        };
        // The database has stayed as an earlier release has made it.
        let found = TWO.iter().map(|name| if *name == "store" { serving(name) } else { later(name) });
        let plan = change(&platform, &environment, &seen(found.collect(), None), Change::Rotate);
        assert_eq!(plan.validate(), [""; 0]);
        let asks = plan.steps.iter().filter(|step| step.id.0.ends_with(".apply"));
        let texts: Vec<_> = asks.map(|step| serde_json::to_string(&step.action).unwrap()).collect();
        assert!(!texts.is_empty());
        for text in texts {
            assert!(text.contains("/2.0.0-b/1/compose.yaml") && !text.contains("1.0.0-a"), "{text}");
            assert!(text.contains(r#"/ops/scripts/database-credential.sh","apply""#), "{text}");
        }
    }
}
