//! `.github/workflows/*.yml`: thin callers of `cargo xtask`, one file here for each.

mod ci;
pub mod local;
mod record;
mod release;
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
