//! `.github/workflows/*.yml`: thin callers of `cargo xtask`.

use vocabulary::formats::github::{Access, Does, Job, Pin, Scope, Step, Trigger, When, Workflow, needs};
use vocabulary::model::Platform;

use super::artifact::{Artifact, Family, banner};
use crate::platform::pins;

pub const FAMILY: Family = Family {
    name: "workflows",
    what: ".github/workflows: what GitHub Actions runs",
    source: file!(),
    generate,
};

const RUNNER: &str = "ubuntu-24.04";
const PYTHON: &str = "3.12";

fn generate(platform: &Platform) -> Vec<Artifact> {
    let workflow = ci(platform);
    let problems = workflow.validate();
    assert!(problems.is_empty(), "the ci workflow: {}", problems.join("; "));
    let header = banner("xtask/src/artifacts/workflows.rs and xtask/src/platform/gates/");
    vec![Artifact::file(".github/workflows/ci.yml", workflow.write(&header))]
}

fn ci(platform: &Platform) -> Workflow {
    let minutes: u32 = platform.gates.iter().map(|gate| gate.limit_seconds).sum::<u32>() / 60;
    let gates = Job {
        id: "gates",
        name: "Gates",
        runs_on: RUNNER,
        limit_minutes: u16::try_from(minutes).unwrap_or(u16::MAX),
        permissions: vec![(Scope::Contents, Access::Read)],
        needs: vec![],
        runs: When::NeedsSucceeded,
        steps: vec![
            uses("Check out", pins::CHECKOUT, vec![("persist-credentials", "false")]),
            uses("Set up Python", pins::SETUP_PYTHON, vec![("python-version", PYTHON)]),
            uses("Cache the Rust build", pins::RUST_CACHE, vec![]),
            Step {
                name: "Run every gate",
                runs: When::NeedsSucceeded,
                does: Does::Run { command: "cargo xtask ci --keep-going".to_owned(), environment: vec![] },
            },
            Step {
                name: "Keep the logs",
                runs: When::Always,
                does: Does::Uses {
                    action: pin(pins::UPLOAD_ARTIFACT),
                    with: vec![
                        ("name", "logs"),
                        ("path", ".flowship/ci/log"),
                        ("include-hidden-files", "true"),
                        ("if-no-files-found", "ignore"),
                    ],
                },
            },
        ],
    };
    let required = Job {
        id: "required",
        name: "Required",
        runs_on: RUNNER,
        limit_minutes: 5,
        permissions: vec![],
        needs: needs(&[&gates]),
        runs: When::Always,
        steps: vec![Step {
            name: "Every job has succeeded",
            runs: When::NeedsSucceeded,
            does: Does::Run {
                command: "test \"$OTHERS\" = false".to_owned(),
                environment: vec![(
                    "OTHERS",
                    "${{ contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled') || \
                     contains(needs.*.result, 'skipped') }}",
                )],
            },
        }],
    };
    Workflow {
        name: "CI",
        triggers: vec![Trigger::PullRequest, Trigger::Push { branches: vec!["main"] }, Trigger::Manual],
        cancel_superseded: true,
        jobs: vec![gates, required],
    }
}

fn uses(name: &'static str, action: pins::Action, with: Vec<(&'static str, &'static str)>) -> Step {
    Step { name, runs: When::NeedsSucceeded, does: Does::Uses { action: pin(action), with } }
}

fn pin(action: pins::Action) -> Pin {
    Pin { name: action.name, commit: action.commit, version: action.version }
}
