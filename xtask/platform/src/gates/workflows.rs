//! GitHub workflows, judged by their tools.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Sarif};

use super::{command, planted};

/// Text that anybody may write reaches a shell, and an action of no commit is run.
const FAULTY: &str = "on: push\njobs:\n  planted:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: \
                      actions/setup-python@v6\n      - run: echo ${{ github.event.issue.title }}\n";

pub fn gate() -> Gate {
    // It would call the last two where a machine has them: the same files, another judgement.
    let actionlint = ["-no-color", "-shellcheck=", "-pyflakes="];
    let zizmor = ["--offline", "--persona=auditor", "--no-progress"];
    Gate {
        id: "workflows",
        group: GateGroup::Sources,
        checks: "GitHub workflows: actionlint and zizmor find nothing",
        commands: vec![
            command(
                "actionlint",
                &actionlint,
                ".",
                planted("planted.yml", FAULTY, &actionlint, "is potentially untrusted"),
            ),
            GateCommand {
                sarif: Some(Sarif::Instead(vec![
                    "--offline",
                    "--persona=auditor",
                    "--no-progress",
                    "--format=sarif",
                    ".github/workflows",
                ])),
                ..command(
                    "zizmor",
                    &[&zizmor[..], &[".github/workflows"]].concat(),
                    ".",
                    planted("planted.yml", FAULTY, &zizmor, "unpinned-uses"),
                )
            },
        ],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec![".github"]),
        negative_control: "xtask/tests/gates/faults.rs::workflows_fails_on_a_finding_of_zizmor",
        remedy: "change the workflow's definition in xtask/artifacts/src/workflows, then `cargo xtask generate`",
        limit_seconds: 120,
    }
}
