//! Jobs of workflows as they can be run without GitHub: the same values that are written to the files.

use vocabulary::formats::github::{Condition, Does, Given, Job, Step, Variable, Work};
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

use super::{Definition, definitions};

/// One job of one workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalJob {
    /// The workflow's file without folder and ending.
    pub workflow: &'static str,
    pub id: &'static str,
    pub limit_minutes: u16,
    pub steps: Vec<LocalStep>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalStep {
    pub name: &'static str,
    pub does: LocalAction,
}

/// What becomes of a step without GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalAction {
    Run {
        command: String,
        /// Name and value.
        environment: Vec<(&'static str, String)>,
        /// Whether it runs after a failure too.
        always: bool,
    },
    /// It cannot be run here, and why.
    Skip { why: String },
}

/// All jobs that have steps, in the order of the files.
///
/// # Errors
/// When the workflows cannot be made.
pub fn jobs(platform: &Platform) -> Result<Vec<LocalJob>, Problem> {
    Ok(definitions(platform)?
        .iter()
        .flat_map(|Definition { name, workflow, .. }| {
            workflow.iter().flat_map(|workflow| &workflow.jobs).filter_map(|job| local(name, job))
        })
        .collect())
}

fn local(workflow: &'static str, job: &Job) -> Option<LocalJob> {
    let Work::Steps { limit_minutes, steps, .. } = &job.work else { return None };
    Some(LocalJob {
        workflow,
        id: job.id,
        limit_minutes: *limit_minutes,
        steps: steps.iter().map(|step| LocalStep { name: step.name, does: action(step) }).collect(),
    })
}

fn action(step: &Step) -> LocalAction {
    let always = match &step.when {
        Condition::Succeeded => false,
        Condition::Always | Condition::NotCancelled => true,
        Condition::Holds(_) | Condition::NotCancelledAnd(_) => {
            return LocalAction::Skip { why: "whether it runs depends on what only GitHub knows".to_owned() };
        }
    };
    let (command, environment) = match &step.does {
        Does::Uses { action, .. } => {
            return LocalAction::Skip {
                why: format!("it is the action {}, which only GitHub runs", action.name),
            };
        }
        Does::Run { command, environment } => (command, environment),
    };
    let known = |variable: &Variable| {
        let Variable { name, value, elsewhere } = variable;
        let literal = match value {
            Given::Value(value) => value.literal(),
            Given::Secret(_) => None,
        };
        literal.or(elsewhere.map(str::to_owned)).map(|value| (*name, value)).ok_or(*name)
    };
    let (known, unknown): (Vec<_>, Vec<_>) = environment.iter().map(known).partition(Result::is_ok);
    let unknown: Vec<_> = unknown.into_iter().filter_map(Result::err).collect();
    if !unknown.is_empty() {
        return LocalAction::Skip { why: format!("only GitHub knows {}", unknown.join(" and ")) };
    }
    let environment = known.into_iter().filter_map(Result::ok).collect();
    LocalAction::Run { command: command.clone(), environment, always }
}
