//! GitHub workflows, judged by their tools.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Sarif};

pub fn gate() -> Gate {
    Gate {
        id: "workflows",
        group: GateGroup::Sources,
        checks: "GitHub workflows: actionlint and zizmor find nothing",
        commands: vec![
            GateCommand {
                program: "actionlint",
                // It would call these two where a machine has them: the same files, another judgement.
                arguments: vec!["-no-color", "-shellcheck=", "-pyflakes="],
                calls: vec![],
                folder: ".",
                evidence: Evidence::ExitCode,
                sarif: None,
            },
            GateCommand {
                program: "zizmor",
                arguments: vec!["--offline", "--persona=auditor", "--no-progress", ".github/workflows"],
                calls: vec![],
                folder: ".",
                evidence: Evidence::ExitCode,
                sarif: Some(Sarif::Instead(vec![
                    "--offline",
                    "--persona=auditor",
                    "--no-progress",
                    "--format=sarif",
                    ".github/workflows",
                ])),
            },
        ],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec![".github"]),
        negative_control: "xtask/tests/gates.rs::workflows_fails_on_a_finding_of_zizmor",
        remedy: "change the workflow's definition in xtask/src/artifacts/workflows, then `cargo xtask generate`",
        limit_seconds: 120,
    }
}
