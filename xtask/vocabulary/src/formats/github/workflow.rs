//! One workflow file.

use super::{Context, Expression, Job, Trigger, Value};

/// One workflow file. It has no permission as a whole: what its jobs may do stands in each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    pub name: &'static str,
    /// What a run is called in the list of runs, and where somebody must agree to it; otherwise GitHub chooses.
    pub run_name: Option<Value>,
    pub triggers: Vec<Trigger>,
    pub concurrency: Concurrency,
    /// Each after those that it needs.
    pub jobs: Vec<Job>,
}

/// Of runs, or jobs, of one group only one is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    pub group: Value,
    /// Whether a newer one ends the older one, or waits for it.
    pub cancels_older: bool,
}

impl Concurrency {
    /// A newer run of a pull request ends the older one. Every other run is alone in its group and runs to its end: the
    /// push that a merge queue makes has the commit of the merge group, whose run it must not end.
    #[must_use]
    pub fn per_pull_request() -> Self {
        let change = vec![Context::PullRequestNumber.into(), Context::RunId.into()];
        let change = Value::Expression(Expression::FirstOf(change));
        Self { group: Value::Joined(vec![Context::Workflow.into(), "-".into(), change]), cancels_older: true }
    }

    /// No run waits for another.
    #[must_use]
    pub fn none() -> Self {
        let group = Value::Joined(vec![Context::Workflow.into(), "-".into(), Context::RunId.into()]);
        Self { group, cancels_older: false }
    }

    /// One run for each workflow and branch, tag or pull request.
    #[must_use]
    pub fn per_reference(cancels_older: bool) -> Self {
        let group = Value::Joined(vec![Context::Workflow.into(), "-".into(), Context::Reference.into()]);
        Self { group, cancels_older }
    }
}
