//! `.github/workflows/*.yml`: thin callers of `cargo xtask`, one file here for each.

mod ci;
mod deploy;
pub mod local;
mod record;
mod release;
mod review;
mod security;
mod slow;
mod steps;

use vocabulary::formats::github::Workflow;
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

pub use record::{JobRecord, WorkflowRecord, workflows};

use super::artifact::{Artifact, Committed, Made, banner, judged};
use steps::Actions;

pub const FAMILY: Committed = Committed {
    name: "workflows",
    what: ".github/workflows: what GitHub Actions runs",
    source: file!(),
    make: generate,
};

/// A workflow and where it lies.
struct Definition {
    /// Its file below `.github/workflows`, without the ending.
    name: &'static str,
    /// The file of this repository that defines it.
    source: &'static str,
    /// None: there is nothing for it to do.
    workflow: Option<Workflow>,
}

fn definitions(platform: &Platform) -> Result<Vec<Definition>, Problem> {
    let actions = &Actions::of(platform)?;
    let definition = |name, source, workflow| Definition { name, source, workflow };
    Ok(vec![
        definition("ci", ci::SOURCE, Some(ci::workflow(platform, actions))),
        definition("promote", deploy::SOURCE, Some(deploy::promote(platform, actions))),
        definition("release", release::SOURCE, Some(release::workflow(platform, actions))),
        definition("review", review::SOURCE, Some(review::workflow(platform, actions))),
        definition("rollback", deploy::SOURCE, Some(deploy::roll_back(platform, actions))),
        definition("security", security::SOURCE, security::workflow(platform, actions)),
        definition("slow", slow::SOURCE, slow::workflow(platform, actions)),
    ])
}

fn generate(platform: &Platform) -> Made {
    let mut artifacts = Vec::new();
    for Definition { name, source, workflow } in definitions(platform)? {
        let Some(workflow) = workflow else { continue };
        let path = format!(".github/workflows/{name}.yml");
        judged(&path, workflow.validate())?;
        let header = banner(&format!("{source} and xtask/platform/src/gates/"));
        artifacts.push(Artifact::file(path, workflow.write(&header)));
    }
    Ok(artifacts)
}

#[cfg(test)]
mod tests {
    use vocabulary::formats::github::PullRequestEvent::{Labeled, Unlabeled};
    use vocabulary::formats::github::{Concurrency, Trigger};

    use super::*;
    use second_platform::platform;

    /// A merge queue waits for every required check; a label that nothing reads ends no run and starts none.
    #[test]
    fn what_judges_pull_requests_judges_merge_groups_and_only_readers_of_labels_start_on_labels() {
        let platform = platform();
        let mut judging = Vec::new();
        for Definition { name, workflow, .. } in definitions(&platform).unwrap() {
            let Some(workflow) = workflow else { continue };
            let events = workflow.triggers.iter().find_map(|trigger| match trigger {
                Trigger::PullRequest { events, .. } => Some(events),
                _ => None,
            });
            let Some(events) = events else { continue };
            judging.push(name);
            assert!(workflow.triggers.contains(&Trigger::MergeGroup), "{name}");
            assert_eq!(workflow.concurrency, Concurrency::per_pull_request(), "{name}");
            let reads = workflow.write(&[]).contains("pull_request.labels");
            let starts = [Labeled, Unlabeled].map(|event| events.contains(&event));
            assert_eq!(starts, [reads, reads], "{name}");
        }
        assert_eq!(judging, ["ci", "review"]);
    }
}
