//! GitHub workflows as values.
//!
//! What GitHub takes and nobody should write has no words here: a permission for a whole workflow, `secrets: inherit`, a
//! secret outside the environment of a step, the triggers `pull_request_target` and `workflow_run`, a machine of one's
//! own. What types cannot hold [`Workflow::validate`] finds, all of it at once.
//!
//! ```
//! # use vocabulary::formats::github::*;
//! let on_main = Trigger::Push { branches: vec!["main"], tags: vec![], paths: vec![] };
//! Workflow { name: "CI", triggers: vec![on_main], concurrency: Concurrency::per_reference(true), jobs: vec![], run_name: None };
//! let with: Vec<(&str, Value)> = vec![("token", "text".into())];
//! let _: fn(&Job) -> Needed = Job::handle;
//! ```
//!
//! ```compile_fail,E0560
//! # use vocabulary::formats::github::*;
//! // The whole workflow has no permission, so that each job has only its own.
//! Workflow { name: "CI", triggers: vec![], concurrency: Concurrency::per_reference(true), jobs: vec![], run_name: None, permissions: vec![] };
//! ```
//!
//! ```compile_fail,E0599
//! # use vocabulary::formats::github::Trigger;
//! Trigger::PullRequestTarget;
//! ```
//!
//! ```compile_fail,E0599
//! # use vocabulary::formats::github::Trigger;
//! Trigger::WorkflowRun;
//! ```
//!
//! ```compile_fail,E0308
//! # use vocabulary::formats::github::{Secret, Value};
//! // A secret reaches a step by its environment only: not as an input of an action, nor in a condition.
//! let with: Vec<(&str, Value)> = vec![("token", Secret { name: "TOKEN" })];
//! ```
//!
//! ```compile_fail,E0423
//! # use vocabulary::formats::github::Needed;
//! // Only a job that is at hand can be needed.
//! Needed("build");
//! ```
//!
//! ```compile_fail,E0451
//! # use vocabulary::formats::github::JobOutput;
//! // An output is had from a job, not from its name.
//! JobOutput { job: "build", name: "version" };
//! ```

mod condition;
mod expression;
mod job;
mod permission;
mod step;
mod trigger;
mod validate;
mod workflow;
mod write;

pub use condition::{Condition, Outcome, Test};
pub use expression::{Context, Expression, Value};
pub use job::{
    Axis, AxisValue, Deployment, DeploymentName, Job, JobOutput, Machine, Matrix, Needed, Output, Reviewers,
    Work, needs,
};
pub use permission::{Access, Permission, Scope};
pub use step::{Does, Given, Pin, Secret, Step, StepOutput, Variable};
pub use trigger::{Input, InputKind, InputValue, PullRequestEvent, Trigger};
pub use workflow::{Concurrency, Workflow};
