//! `security.yml`: what may become wrong without any change here, looked at every week.

use vocabulary::formats::github::{
    Access, Concurrency, Condition, Job, Permission, Scope, Step, Trigger, Workflow,
};
use vocabulary::model::{GateGroup, Platform};

use super::steps::{
    Actions, FINDINGS, History, READS_SOURCES, caches, check_out, job, judge, limit_minutes, of_group,
    set_up_python, uses,
};

pub const SOURCE: &str = file!();

/// Monday morning, off the full hour, at which everybody's schedules start.
const WEEKLY: &str = "23 5 * * 1";

/// None while no gate is in the group.
pub fn workflow(platform: &Platform, actions: &Actions<'_>) -> Option<Workflow> {
    of_group(platform, GateGroup::Security).next()?;
    let mut steps = vec![check_out(actions, History::Whole), set_up_python(actions)];
    steps.extend(caches(actions));
    steps.extend(judge(platform, actions, GateGroup::Security, None));
    let with = vec![("sarif_file", FINDINGS.into()), ("category", platform.name.into())];
    steps.push(Step {
        when: Condition::NotCancelled,
        ..uses("Show the findings under code scanning", actions.upload_sarif, with)
    });
    let shows = Permission {
        scope: Scope::SecurityEvents,
        access: Access::Write,
        why: "shows the findings under code scanning",
    };
    let limit = limit_minutes(platform, GateGroup::Security);
    Some(Workflow {
        name: "Security",
        run_name: None,
        triggers: vec![
            Trigger::Schedule(WEEKLY),
            Trigger::Push { branches: vec![platform.release.branch], tags: vec![], paths: vec![] },
            Trigger::Manual { inputs: vec![] },
        ],
        concurrency: Concurrency::per_pull_request(),
        jobs: vec![Job {
            permissions: vec![READS_SOURCES, shows],
            ..job(GateGroup::Security.name(), "Security", limit, steps)
        }],
    })
}
