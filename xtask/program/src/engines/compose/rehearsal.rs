//! The rehearsal of production as a plan. Pure.

use clap::ValueEnum as _;
use serde::Serialize;

use super::lower::{up, written};
use super::observe::Observed;
use crate::engines::process::lower::id::{INSTALL_TOOLS, MAKE_SECRETS};
use runner::plan::action::{Action, Native};
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// Name of the project, of the plan's lock and of its folder below the state folder.
pub const TARGET: &str = "rehearsal";

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Rehearse {
    InstallTools {
        programs: Vec<&'static str>,
    },
    MakeSecrets,
    #[serde(untagged)]
    Check(Check),
}

impl Native for Rehearse {}

/// The checks, in order, and what each proves. Those that end a replica come after those that only look; the last
/// recreates everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Check {
    /// every replica passes its smoke checks on the operations port
    Smoke,
    /// the API answers over TLS, and only through the edge
    Edge,
    /// the engine and the kernel confirm the hardening of every container
    Hardening,
    /// each container reaches exactly what the edges allow
    Reachability,
    /// a stopped replica finishes its requests, and the edge loses none
    Drain,
    /// a replica killed for its memory is restarted, and the engine reports why
    Oom,
    /// a service that exits at once is restarted, with longer and longer pauses
    CrashLoop,
    /// production recovers by itself after the engine or its host was down
    EngineRestart,
    /// a missing secret file is an error that names the file
    MissingSecret,
    /// production comes up when the database is a minute late
    LateDependency,
}

impl Check {
    /// Its name on the command line, and what it proves.
    pub fn words(self) -> (String, String) {
        let value = self.to_possible_value().unwrap_or_default();
        (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
    }
}

/// These, or all but the slow and the dangerous ones, and those that are asked for besides.
pub fn chosen(only: &[Check], slow: bool, restart_engine: bool) -> Vec<Check> {
    let wanted = |check: &Check| {
        let among = match check {
            Check::LateDependency => slow,
            Check::EngineRestart => restart_engine,
            _ => only.is_empty(),
        };
        among || only.contains(check)
    };
    Check::value_variants().iter().copied().filter(wanted).collect()
}

pub fn plan(seen: &Observed, checks: &[Check], keep: bool) -> Plan<Rehearse> {
    let project = &seen.project;
    let native = |id: &str, title: &str, action| Step {
        time_limit_ms: 300_000,
        ..Step::new(id, title, Action::Native(action))
    };
    let programs = seen.programs.clone();
    let written = written(seen);
    let inputs = written.iter().map(|step| step.id.clone());
    let inputs = inputs.chain(["clear", MAKE_SECRETS].map(StepId::from)).collect();
    let down = Action::Exec(project.down(true));
    let mut steps = vec![
        native(INSTALL_TOOLS, "install the pinned programs", Rehearse::InstallTools { programs }),
        Step {
            needs: vec![INSTALL_TOOLS.into()],
            ..Step::new("clear", "remove what an earlier rehearsal left", down.clone())
        },
        native(MAKE_SECRETS, "make secrets and a certificate for this run", Rehearse::MakeSecrets),
    ];
    steps.extend(written);
    steps.push(Step {
        needs: inputs,
        undo: (!keep).then(|| down.clone()),
        ..Step::new(
            "up",
            "start production, in order, until it is healthy",
            Action::Exec(up(project, &["--remove-orphans"], None)),
        )
    });
    for check in checks {
        let (name, title) = check.words();
        steps.push(Step { needs: vec!["up".into()], ..native(&name, &title, Rehearse::Check(*check)) });
    }
    if !keep {
        steps.push(Step {
            after: steps.iter().map(|step| step.id.clone()).collect(),
            ..Step::new("down", "take it down, with its data", down)
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
    use std::sync::Arc;

    use foundation::interrupt::Interrupt;
    use runner::plan::runner::Runner;
    use runner::plan::show::{OutputStyle, Show};
    use runner::plan::target::{Recording, Target};

    use super::super::project::Project;
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
        let seen = Observed { project, programs: vec!["docker-compose"], ..Observed::default() };
        let whole = plan(&seen, &chosen(&[], false, false), false);
        assert_eq!(whole.validate(), [""; 0]);
        assert_eq!(whole.steps.last().unwrap().after.len(), whole.steps.len() - 1);
        let text = whole.text();
        assert!(
            text.contains("--project-name flowship-rehearsal-1 down --remove-orphans --volumes"),
            "{text}"
        );
        let taken_down = |plan: &Plan<Rehearse>, fails: Option<&str>| {
            let state = tempfile::tempdir().unwrap();
            let recording = Recording::new(fails.map(|id| (id.into(), Err("it does".to_owned()))));
            let target =
                Target::Recorded { state: state.path().to_owned(), recording: Arc::clone(&recording) };
            let runner = Runner {
                keep_going: true,
                show: Show::to(OutputStyle::Plain, Box::new(std::io::sink())),
                ..Runner::new(&target, Interrupt::default(), &|_, _| unreachable!("it is recorded"))
            };
            runner.run(plan).unwrap();
            let actions = recording.actions();
            let up = actions.iter().position(|action| action.starts_with("up: ")).unwrap();
            actions[up..].iter().any(|action| action.contains(" down --remove-orphans --volumes"))
        };
        for fails in [None, Some("up"), Some("smoke"), Some("drain")] {
            assert!(taken_down(&whole, fails), "{fails:?}");
        }
        let kept = plan(&seen, &chosen(&[Check::Edge], false, false), true);
        assert!(kept.steps.iter().all(|step| step.id.0 != "down" && step.undo.is_none()));
        assert!(!taken_down(&kept, None) && !taken_down(&kept, Some("edge")));
        let usual = chosen(&[], false, false);
        assert_eq!(
            usual.len(),
            Check::value_variants().len() - 2,
            "neither what is slow nor what ends the engine: {usual:?}"
        );
        assert_eq!(chosen(&[], true, false).last(), Some(&Check::LateDependency));
        assert!(chosen(&[], false, true).contains(&Check::EngineRestart));
        for asked in [Check::LateDependency, Check::EngineRestart] {
            assert_eq!(chosen(&[asked], false, false), [asked]);
        }
    }
}
