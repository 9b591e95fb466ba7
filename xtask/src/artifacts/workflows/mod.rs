//! `.github/workflows/*.yml`: thin callers of `cargo xtask`, one file here for each.

mod ci;
pub mod local;
mod record;
mod release;
mod review;
mod security;
mod steps;

use vocabulary::formats::github::Workflow;
use vocabulary::model::Platform;

pub use record::{JobRecord, WorkflowRecord, actions, workflows};

use super::artifact::{Artifact, Family, banner};

pub const FAMILY: Family = Family {
    name: "workflows",
    what: ".github/workflows: what GitHub Actions runs",
    source: file!(),
    generate,
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

fn definitions(platform: &Platform) -> Vec<Definition> {
    vec![
        Definition { name: "ci", source: ci::SOURCE, workflow: Some(ci::workflow(platform)) },
        Definition { name: "release", source: release::SOURCE, workflow: Some(release::workflow(platform)) },
        Definition { name: "review", source: review::SOURCE, workflow: Some(review::workflow(platform)) },
        Definition { name: "security", source: security::SOURCE, workflow: security::workflow(platform) },
    ]
}

fn generate(platform: &Platform) -> Vec<Artifact> {
    let file = |definition: Definition| {
        let Definition { name, source, workflow } = definition;
        let workflow = workflow?;
        let problems = workflow.validate();
        assert!(problems.is_empty(), "the workflow {name} ({source}): {}", problems.join("; "));
        let header = banner(&format!("{source} and xtask/src/platform/gates/"));
        Some(Artifact::file(format!(".github/workflows/{name}.yml"), workflow.write(&header)))
    };
    definitions(platform).into_iter().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use vocabulary::formats::github::PullRequestEvent::{Labeled, Unlabeled};
    use vocabulary::formats::github::{Concurrency, Trigger};

    use super::*;
    use crate::platform::platform;

    /// A merge queue waits for every required check; a label that nothing reads ends no run and starts none.
    #[test]
    fn what_judges_pull_requests_judges_merge_groups_and_only_readers_of_labels_start_on_labels() {
        let platform = platform();
        let mut judging = Vec::new();
        for Definition { name, workflow, .. } in definitions(&platform) {
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
