//! `slow.yml`: the gates that take too long for every change, each week.

use vocabulary::formats::github::{Concurrency, Job, Trigger, Workflow};
use vocabulary::model::{GateGroup, Platform};

use super::steps::{
    Actions, History, READS_SOURCES, check_out, job, judge, limit_minutes, of_group, set_up_python,
};

pub const SOURCE: &str = file!();

/// Sunday morning, when no change waits for a machine.
const WEEKLY: &str = "41 3 * * 0";

/// What makes the images that the slow tests in containers run.
const BUILD_IMAGES: [&str; 3] = ["image", "build", "--stand-ins-if-locked"];

/// None while no gate is in the group.
pub fn workflow(platform: &Platform, actions: &Actions<'_>) -> Option<Workflow> {
    of_group(platform, GateGroup::Slow).next()?;
    let mut steps = vec![check_out(actions, History::OneCommit), set_up_python(actions)];
    let images = platform.gate_running(&BUILD_IMAGES);
    steps.extend(judge(platform, actions, GateGroup::Slow, images));
    let limit = limit_minutes(platform, GateGroup::Slow);
    Some(Workflow {
        name: "Slow",
        run_name: None,
        triggers: vec![Trigger::Schedule(WEEKLY), Trigger::Manual { inputs: vec![] }],
        concurrency: Concurrency::per_pull_request(),
        jobs: vec![Job {
            permissions: vec![READS_SOURCES],
            ..job(GateGroup::Slow.name(), "Slow", limit, steps)
        }],
    })
}
