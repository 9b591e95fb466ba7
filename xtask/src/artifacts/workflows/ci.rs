//! `ci.yml`: a job for each group of gates, and one that tells whether all is well.

use std::collections::BTreeSet;

use vocabulary::formats::github::PullRequestEvent::{Labeled, Opened, Reopened, Synchronize, Unlabeled};
use vocabulary::formats::github::{
    Concurrency, Condition, Context, Expression, Job, Outcome, Output, Test, Trigger, Workflow, needs,
};
use vocabulary::model::{GateGroup, Platform};

use super::steps::{
    History, READS_SOURCES, caches, check_out, filled, job, judge, limit_minutes, needs_root, run,
    set_up_python,
};
use crate::platform::release::{BRANCH, REQUIRED_CHECK};

pub const SOURCE: &str = file!();

pub fn workflow(platform: &Platform) -> Workflow {
    let groups: BTreeSet<_> = platform.gates.iter().map(|gate| gate.group).collect();
    let changes = changes(&groups);
    let review = review();
    let judged: Vec<_> = groups.iter().map(|group| gates(platform, *group, &changes)).collect();
    let required = required(&changes, &review, &judged);
    let first = [changes, review];
    Workflow {
        name: "CI",
        triggers: vec![
            // Labels decide on the review too.
            Trigger::PullRequest {
                events: vec![Opened, Synchronize, Reopened, Labeled, Unlabeled],
                paths: vec![],
            },
            Trigger::Push { branches: vec![BRANCH], tags: vec![], paths: vec![] },
            Trigger::Manual { inputs: vec![] },
        ],
        concurrency: Concurrency::per_change(),
        jobs: first.into_iter().chain(judged).chain([required]).collect(),
    }
}

/// Which groups have to judge. Whatever is no pull request has no base, so that all of them do.
fn changes(groups: &BTreeSet<GateGroup>) -> Job {
    let base = filled("BASE", Context::PullRequestBase, Some(""));
    let command = "cargo xtask ci --list --changed-since \"$BASE\" --outputs \"$GITHUB_OUTPUT\"";
    let mut select = run("Select the groups whose inputs have changed", command, vec![base]);
    select.id = Some("select");
    select.outputs = groups.iter().map(|group| group.name()).collect();
    let outputs = groups.iter().map(|group| Output { name: group.name(), from: select.output(group.name()) });
    let outputs = outputs.collect();
    let [rust, _] = caches();
    let steps = vec![check_out(History::Whole), rust, select];
    Job { permissions: vec![READS_SOURCES], outputs, ..job("changes", "Changes", 15, steps) }
}

/// What a pull request means for the platform stands in the job's summary, and what is wider needs the reviewer's label.
fn review() -> Job {
    let labels = Expression::Json(Box::new(Context::PullRequestLabels.into()));
    // A pull request is checked out merged into its base, which is the first parent.
    let command = "cargo xtask generate --diff --semantic --against HEAD^1 --summary \"$GITHUB_STEP_SUMMARY\" --labels \
                   \"$LABELS\"";
    let tell = run("Tell what the change means", command, vec![filled("LABELS", labels, Some("[]"))]);
    let [rust, _] = caches();
    Job {
        permissions: vec![READS_SOURCES],
        when: Condition::Holds(of_pull_request()),
        ..job("review", "Review", 15, vec![check_out(History::Parent), rust, tell])
    }
}

fn of_pull_request() -> Test {
    Test::Equals(Context::Event.into(), "pull_request")
}

fn gates(platform: &Platform, group: GateGroup, changes: &Job) -> Job {
    // The history is judged too.
    let history = if group == GateGroup::Security { History::Whole } else { History::OneCommit };
    let root = needs_root(platform, group);
    let mut steps = vec![check_out(history), set_up_python()];
    // Root leaves files that the caches, which belong to the caller, could not save.
    steps.extend((!root).then(caches).into_iter().flatten());
    steps.extend(judge(platform, group));
    let touched = Test::Equals(Expression::Job(changes.output(group.name())), "true");
    Job {
        permissions: vec![READS_SOURCES],
        needs: needs(&[changes]),
        when: Condition::Holds(touched),
        ..job(group.name(), title(group), limit_minutes(platform, group), steps)
    }
}

fn title(group: GateGroup) -> &'static str {
    match group {
        GateGroup::Sources => "Sources",
        GateGroup::Rust => "Rust",
        GateGroup::Node => "Node.js",
        GateGroup::Security => "Security",
        GateGroup::Containers => "Containers",
    }
}

/// The one check that a branch needs: every job has succeeded, or was left out because nothing that it reads has
/// changed.
fn required(changes: &Job, review: &Job, judged: &[Job]) -> Job {
    let none = |outcome| Test::Not(Box::new(Test::AnyEnded(outcome)));
    let well = |job: &Job| {
        let left_out = Test::All(vec![
            Test::ended(job.handle(), Outcome::Skipped),
            Test::Equals(Expression::Job(changes.output(job.id)), "false"),
        ]);
        Test::Any(vec![Test::ended(job.handle(), Outcome::Success), left_out])
    };
    let reviewed = Test::Any(vec![
        Test::ended(review.handle(), Outcome::Success),
        Test::Not(Box::new(of_pull_request())),
    ]);
    let first = [
        none(Outcome::Failure),
        none(Outcome::Cancelled),
        Test::ended(changes.handle(), Outcome::Success),
        reviewed,
    ];
    let all = Test::All(first.into_iter().chain(judged.iter().map(well)).collect());
    let step = run(
        "Every job has succeeded or was not needed",
        "test \"$GOOD\" = true",
        vec![filled("GOOD", Expression::Holds(Box::new(all)), None)],
    );
    let before: Vec<_> = [changes, review].into_iter().chain(judged).collect();
    Job { needs: needs(&before), when: Condition::Always, ..job("required", REQUIRED_CHECK, 5, vec![step]) }
}
