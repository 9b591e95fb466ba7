//! `review.yml`: what a pull request means for the platform, and whether a reviewer agrees.
//!
//! It starts whenever a label changes, also one that it does not heed: a job that is left out counts as passed on
//! GitHub, so an unrelated label would make a failed review pass.

use vocabulary::formats::github::PullRequestEvent::{
    Edited, Labeled, Opened, Reopened, Synchronize, Unlabeled,
};
use vocabulary::formats::github::{
    Concurrency, Condition, Context, Expression, Job, Test, Trigger, Workflow,
};
use vocabulary::model::Platform;

use super::steps::{Actions, History, READS_SOURCES, caches, check_out, filled, job, run};

pub const SOURCE: &str = file!();

pub fn workflow(platform: &Platform, actions: &Actions<'_>) -> Workflow {
    // An edit may change the branch that it is compared with.
    let mut events = vec![Opened, Synchronize, Reopened, Edited];
    if !platform.review.asked_for.is_empty() {
        events.extend([Labeled, Unlabeled]);
    }
    Workflow {
        name: "Review",
        run_name: None,
        triggers: vec![
            Trigger::PullRequest { events, paths: vec![] },
            // A merge queue waits for every required check. Each pull request in it has passed this one.
            Trigger::MergeGroup,
        ],
        // The newest event has the labels as they are.
        concurrency: Concurrency::per_pull_request(),
        jobs: vec![review(actions)],
    }
}

/// The job's summary shows the meaning; a change that reaches wider needs the reviewer's label.
fn review(actions: &Actions<'_>) -> Job {
    let labels = Expression::Json(Box::new(Context::PullRequestLabels.into()));
    // A pull request is checked out merged into its base, which is the first parent.
    let command = "cargo xtask generate --diff --semantic --against HEAD^1 --summary \"$GITHUB_STEP_SUMMARY\" --labels \
                   \"$LABELS\"";
    let show = run("Show what the change means", command, vec![filled("LABELS", labels, Some("[]"))]);
    let [rust, _] = caches(actions);
    Job {
        permissions: vec![READS_SOURCES],
        when: Condition::Holds(Test::Equals(Context::Event.into(), "pull_request")),
        ..job("review", "Review", 15, vec![check_out(actions, History::Parent), rust, show])
    }
}
