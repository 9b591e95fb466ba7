//! The rehearsal of production as a plan. Pure.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::lower::up;
use super::project::Project;
use crate::engines::process::lower::PROGRAMS;
use foundation::exit::refused;
use foundation::nearest::hint;
use runner::plan::action::{Action, Native, Write};
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// Names the project, the plan's lock and its folder below the state folder.
pub const TARGET: &str = "rehearsal";

/// The native calls of the plan.
pub mod native {
    pub const INSTALL: &str = "install-tools";
    pub const SECRETS: &str = "make-secrets";
    pub const SMOKE: &str = "smoke";
    pub const EDGE: &str = "edge";
    pub const HARDENING: &str = "hardening";
    pub const REACHABILITY: &str = "reachability";
    pub const DRAIN: &str = "drain";
    pub const OOM: &str = "oom";
    pub const CRASH_LOOP: &str = "crash-loop";
    pub const ENGINE_RESTART: &str = "engine-restart";
    pub const MISSING_SECRET: &str = "missing-secret";
    pub const LATE_DEPENDENCY: &str = "late-dependency";
}

/// A check's name and what it proves, in order. Those that end a replica come after those that look; the last brings
/// everything up anew.
pub const CHECKS: [(&str, &str); 10] = [
    (native::SMOKE, "every replica passes its five smoke checks, asked as an operator asks"),
    (native::EDGE, "the API answers over TLS, through the edge only"),
    (native::HARDENING, "the engine shows every hardening claim"),
    (native::REACHABILITY, "what each container reaches is what the edges allow"),
    (native::DRAIN, "a replica that is stopped finishes what it has, and the edge loses nothing"),
    (native::OOM, "a replica killed for its memory is started again, and the engine says why"),
    (native::CRASH_LOOP, "a service that fails at once is started again, and ever more seldom"),
    (native::ENGINE_RESTART, "production comes back by itself when the engine or its host has ended"),
    (native::MISSING_SECRET, "a secret file that is missing is refused by name"),
    (native::LATE_DEPENDENCY, "production comes up when the database is a minute late"),
];

/// # Errors
/// Refused when a name is none of a check.
pub fn chosen(
    names: &[String],
    slow: bool,
    restart_engine: bool,
) -> Result<Vec<(&'static str, &'static str)>> {
    let known: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
    let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
    let problems: Vec<_> = unknown
        .map(|name| format!("no check is called {name}{}\n", hint(name, known.iter().copied())))
        .collect();
    if !problems.is_empty() {
        return Err(refused(format!("{}the checks are {}", problems.concat(), known.join(", "))));
    }
    let wanted = |name: &str| {
        let among = match name {
            native::LATE_DEPENDENCY => slow,
            native::ENGINE_RESTART => restart_engine,
            _ => names.is_empty(),
        };
        among || names.iter().any(|one| one == name)
    };
    Ok(CHECKS.into_iter().filter(|(name, _)| wanted(name)).collect())
}

pub fn plan(
    project: &Project,
    env: &str,
    programs: &[&str],
    checks: &[(&'static str, &'static str)],
    keep: bool,
) -> Plan {
    let native = |id: &str, title: &str, parameters: serde_json::Value, needs: Vec<StepId>| Step {
        id: id.into(),
        title: title.to_owned(),
        action: Action::Native(Native { name: id.to_owned(), parameters, args: BTreeMap::new() }),
        needs,
        time_limit_ms: 300_000,
        ..Step::default()
    };
    let nothing = serde_json::Value::Null;
    let down = Action::Exec(project.down(true));
    let mut steps = vec![
        native(native::INSTALL, "have the pinned programs", json!({ PROGRAMS: programs }), vec![]),
        Step {
            id: "clear".into(),
            title: "remove what an earlier rehearsal left".to_owned(),
            action: down.clone(),
            needs: vec![native::INSTALL.into()],
            ..Step::default()
        },
        native(native::SECRETS, "make secrets and a certificate for this run", nothing.clone(), vec![]),
        Step {
            id: "env".into(),
            title: "write what a site would decide".to_owned(),
            action: Action::Write(Write {
                path: project.env_file.clone(),
                contents: env.into(),
                mode: 0o644,
            }),
            ..Step::default()
        },
        Step {
            id: "up".into(),
            title: "start production, in order, until it is healthy".to_owned(),
            action: Action::Exec(up(project)),
            needs: ["clear", native::SECRETS, "env"].map(StepId::from).into(),
            undo: (!keep).then(|| down.clone()),
            ..Step::default()
        },
    ];
    for (name, title) in checks {
        steps.push(native(name, title, nothing.clone(), vec!["up".into()]));
    }
    if !keep {
        steps.push(Step {
            id: "down".into(),
            title: "take it down, with its data".to_owned(),
            action: down,
            after: steps.iter().map(|step| step.id.clone()).collect(),
            ..Step::default()
        });
    }
    Plan {
        intent: "rehearse production on Compose".to_owned(),
        target: TARGET.to_owned(),
        on_failure: OnFailure::Undo,
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_valid_and_always_taken_down_unless_it_is_kept() {
        let project = Project {
            name: "flowship-rehearsal-1".into(),
            docker: "docker".into(),
            compose: vec!["docker-compose".into()],
            folder: "/tree/ops/docker/prod".into(),
            files: vec!["/tree/one.yaml".into()],
            env_file: "/tree/rendered/compose.env".into(),
        };
        let whole = plan(&project, "A=1\n", &["docker-compose"], &chosen(&[], false, false).unwrap(), false);
        assert_eq!(whole.validate(), [""; 0]);
        assert_eq!(whole.steps.last().unwrap().after.len(), whole.steps.len() - 1);
        let text = whole.text();
        assert!(
            text.contains("--project-name flowship-rehearsal-1 down --remove-orphans --volumes"),
            "{text}"
        );
        let kept = plan(&project, "A=1\n", &[], &chosen(&["edge".into()], false, false).unwrap(), true);
        assert!(kept.steps.iter().all(|step| step.id.0 != "down" && step.undo.is_none()));
        assert!(chosen(&["edges".into()], false, false).unwrap_err().to_string().contains("reachability"));
        let names = |only: &[&str], slow, restart_engine| -> Vec<&str> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&only, slow, restart_engine).unwrap().iter().map(|(name, _)| *name).collect()
        };
        let usual = names(&[], false, false);
        assert_eq!(usual.len(), CHECKS.len() - 2, "neither what is slow nor what ends the engine: {usual:?}");
        assert_eq!(names(&[], true, false).last(), Some(&native::LATE_DEPENDENCY));
        assert!(names(&[], false, true).contains(&native::ENGINE_RESTART));
        for asked in [native::LATE_DEPENDENCY, native::ENGINE_RESTART] {
            assert_eq!(names(&[asked], false, false), [asked]);
        }
    }
}
