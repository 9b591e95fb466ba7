//! How the contract migrations of the release that runs are run, on whatever engine: on a scratch database first, where a
//! replica of it has to pass its smoke. Pure.

use std::collections::BTreeSet;

use vocabulary::model::environment::Environment;

use super::schema::LAST;
use super::{Replica, Roll};
use crate::deployment::contracted;
use crate::engines::process::instance::Instance;
use crate::engines::process::lower::BringUp;
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Write};
use runner::plan::step::{OnFailure, Plan, Step};

/// The step that changes the real database.
pub const RUN: &str = "contract.run";
/// The step before it.
pub const RECORD: &str = "contract.record";

/// What is run, and where.
pub struct Contracting<'a> {
    pub environment: &'a Environment,
    pub instance: &'a Instance,
    /// The migrations that were run in the environment, and those of the release.
    pub contracted: &'a BTreeSet<String>,
    pub contract: &'a BTreeSet<String>,
    /// Runs them; none where the platform has none.
    pub run: Option<Action<BringUp>>,
    /// The replicas that serve.
    pub serving: Vec<Replica>,
}

impl Contracting<'_> {
    /// The plan, behind these steps, the proof among them: without it, what the others need does not exist, and nothing is
    /// run.
    pub fn plan(self, mut steps: Vec<Step<BringUp>>) -> Plan<BringUp> {
        let name = &self.environment.name;
        if let Some(run) = self.run {
            let lines = self.contracted.union(self.contract).map(|path| format!("{path}\n"));
            steps.push(Step {
                needs: vec![LAST.into()],
                ..Step::new(
                    RECORD,
                    "record that releases without these migrations do not run here any more",
                    Action::Write(Write {
                        path: contracted::file(&self.instance.folder),
                        contents: lines.collect::<String>().into(),
                        mode: 0o644,
                    }),
                )
            });
            steps.push(Step {
                needs: vec![RECORD.into()],
                remedy: Some("fix what its log names, then run the command again".to_owned()),
                ..Step::new(RUN, "run the contract migrations", run)
            });
        }
        steps.extend(self.serving.into_iter().map(|replica| Step {
            needs: vec![RUN.into()],
            remedy: Some(format!("read `{PROGRAM} logs {name} {}`", replica.name)),
            ..Step::new(
                format!("{}.smoke", replica.name),
                format!("{} passes its smoke on the contracted schema", replica.name),
                Action::Native(BringUp::Roll(Roll::Smoke(replica))),
            )
        }));
        Plan {
            intent: format!("run the contract migrations of {name}"),
            target: name.clone(),
            steps,
            on_failure: OnFailure::Undo,
        }
    }
}
