//! What workflows may do and whose code they run, as data: a change of it is reviewed by its meaning.

use serde::Serialize;
use vocabulary::formats::github::{Deployment, Does, Given, Job, Permission, Pin, Reviewers, Workflow};
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

use super::{Definition, definitions};

/// A workflow.
#[derive(Debug, Serialize)]
pub struct WorkflowRecord {
    /// Its file without folder and ending.
    pub id: &'static str,
    pub triggers: Vec<&'static str>,
    pub jobs: Vec<JobRecord>,
}

/// A job of it.
#[derive(Debug, Serialize)]
pub struct JobRecord {
    pub id: &'static str,
    pub needs: Vec<&'static str>,
    pub permissions: Vec<PermissionRecord>,
    pub environment: Option<EnvironmentRecord>,
    pub publishes: bool,
    /// Names of secrets that its steps get.
    pub secrets: Vec<&'static str>,
    /// Names of actions, which see its token.
    pub actions: Vec<&'static str>,
}

/// What its token may be used for.
#[derive(Debug, Serialize)]
pub struct PermissionRecord {
    pub scope: &'static str,
    pub access: &'static str,
    pub why: &'static str,
}

/// Where it publishes to.
#[derive(Debug, Serialize)]
pub struct EnvironmentRecord {
    /// `inputs.NAME` when whoever starts the workflow chooses it.
    pub name: String,
    /// `required` or `nobody`.
    pub reviewers: &'static str,
}

/// All workflows, in the order of their definitions.
///
/// # Errors
/// When they cannot be made.
pub fn workflows(platform: &Platform) -> Result<Vec<WorkflowRecord>, Problem> {
    let record = |id, workflow: Workflow| WorkflowRecord {
        id,
        triggers: workflow.triggers.iter().map(|trigger| trigger.name()).collect(),
        jobs: workflow.jobs.iter().map(job).collect(),
    };
    let definitions = definitions(platform)?.into_iter();
    Ok(definitions.filter_map(|Definition { name, workflow, .. }| Some(record(name, workflow?))).collect())
}

fn pins(job: &Job) -> Vec<Pin> {
    let pin = |does: &Does| match does {
        Does::Uses { action, .. } => Some(*action),
        Does::Run { .. } => None,
    };
    job.steps().iter().filter_map(|step| pin(&step.does)).collect()
}

fn job(job: &Job) -> JobRecord {
    let secret = |does: &Does| match does {
        Does::Run { environment, .. } => environment
            .iter()
            .filter_map(|variable| match variable.value {
                Given::Secret(secret) => Some(secret.name),
                Given::Value(_) => None,
            })
            .collect(),
        Does::Uses { .. } => vec![],
    };
    JobRecord {
        id: job.id,
        needs: job.needs.iter().map(|needed| needed.id()).collect(),
        permissions: job.permissions.iter().map(permission).collect(),
        environment: job.environment.as_ref().map(environment),
        publishes: job.publishes,
        secrets: job.steps().iter().flat_map(|step| secret(&step.does)).collect(),
        actions: pins(job).iter().map(|pin| pin.name).collect(),
    }
}

fn permission(Permission { scope, access, why }: &Permission) -> PermissionRecord {
    PermissionRecord { scope: scope.name(), access: access.name(), why }
}

fn environment(Deployment { name, reviewers }: &Deployment) -> EnvironmentRecord {
    let reviewers = match reviewers {
        Reviewers::Required => "required",
        Reviewers::Nobody => "nobody",
    };
    EnvironmentRecord { name: name.text(), reviewers }
}
