//! `ci.yml`: a job for each group of gates but the slow ones, and one that needs them all.
//!
//! It does not start when a label changes: that would end a run that is under way and judge the same files again. What
//! depends on labels has a workflow of its own, `review.yml`.

use std::collections::BTreeSet;

use vocabulary::formats::github::{
    Concurrency, Condition, Context, Expression, Job, Outcome, Output, Test, Trigger, Workflow, needs,
};
use vocabulary::model::{GateGroup, Platform};

use super::steps::{
    Actions, History, READS_SOURCES, caches, check_out, filled, job, judge, limit_minutes, needs_root, run,
    set_up_python,
};

pub const SOURCE: &str = file!();

pub fn workflow(platform: &Platform, actions: &Actions<'_>) -> Workflow {
    let groups = platform.gates.iter().map(|gate| gate.group).filter(|group| *group != GateGroup::Slow);
    let groups: BTreeSet<_> = groups.collect();
    let changes = changes(actions, &groups);
    let judged: Vec<_> = groups.iter().map(|group| gates(platform, actions, *group, &changes)).collect();
    let required = required(platform, &changes, &judged);
    Workflow {
        name: "CI",
        run_name: None,
        triggers: vec![
            Trigger::PullRequest { events: vec![], paths: vec![] },
            Trigger::MergeGroup,
            Trigger::Push { branches: vec![platform.release.branch], tags: vec![], paths: vec![] },
            Trigger::Manual { inputs: vec![] },
        ],
        concurrency: Concurrency::per_pull_request(),
        jobs: [changes].into_iter().chain(judged).chain([required]).collect(),
    }
}

/// Which groups have to judge. Without a pull request there is no base, so all of them do. That includes merge groups: the
/// base of one may be another group that has not passed.
fn changes(actions: &Actions<'_>, groups: &BTreeSet<GateGroup>) -> Job {
    let base = filled("BASE", Context::PullRequestBase, Some(""));
    let command = "cargo xtask ci --list --changed-since \"$BASE\" --outputs \"$GITHUB_OUTPUT\"";
    let mut select = run("Select the groups whose inputs have changed", command, vec![base]);
    select.id = Some("select");
    select.outputs = groups.iter().map(|group| group.name()).collect();
    let outputs = groups.iter().map(|group| Output { name: group.name(), from: select.output(group.name()) });
    let outputs = outputs.collect();
    let [rust, _] = caches(actions);
    let steps = vec![check_out(actions, History::Whole), rust, select];
    Job { permissions: vec![READS_SOURCES], outputs, ..job("changes", "Changes", 15, steps) }
}

fn gates(platform: &Platform, actions: &Actions<'_>, group: GateGroup, changes: &Job) -> Job {
    // The history is judged too.
    let history = if group == GateGroup::Security { History::Whole } else { History::OneCommit };
    let root = needs_root(platform, group);
    let mut steps = vec![check_out(actions, history), set_up_python(actions)];
    // Root leaves files that the caches, which belong to the caller, could not save.
    steps.extend((!root).then(|| caches(actions)).into_iter().flatten());
    steps.extend(judge(platform, actions, group, None));
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
        GateGroup::Slow => "Slow",
    }
}

/// The one check that a branch needs: every job has succeeded, or was left out because nothing that it reads has
/// changed.
fn required(platform: &Platform, changes: &Job, judged: &[Job]) -> Job {
    let none = |outcome| Test::Not(Box::new(Test::AnyEnded(outcome)));
    let well = |job: &Job| {
        let left_out = Test::All(vec![
            Test::ended(job.handle(), Outcome::Skipped),
            Test::Equals(Expression::Job(changes.output(job.id)), "false"),
        ]);
        Test::Any(vec![Test::ended(job.handle(), Outcome::Success), left_out])
    };
    let first =
        [none(Outcome::Failure), none(Outcome::Cancelled), Test::ended(changes.handle(), Outcome::Success)];
    let all = Test::All(first.into_iter().chain(judged.iter().map(well)).collect());
    let step = run(
        "Every job has succeeded or was not needed",
        "test \"$GOOD\" = true",
        vec![filled("GOOD", Expression::Holds(Box::new(all)), None)],
    );
    let before: Vec<_> = [changes].into_iter().chain(judged).collect();
    Job {
        needs: needs(&before),
        when: Condition::Always,
        ..job("required", platform.release.required_check, 5, vec![step])
    }
}
