//! The quality gates of `cargo xtask ci`, in the order in which they are shown.

use vocabulary::model::{Evidence, Gate, GateCommand};

use super::images;

pub fn gates() -> Vec<Gate> {
    vec![
        Gate {
            id: "format",
            checks: "Rust sources are formatted",
            commands: vec![cargo(&["fmt", "--all", "--check"])],
            after: vec![],
            remedy: "run `cargo fmt --all`",
            limit_seconds: 120,
        },
        Gate {
            id: "generated",
            checks: "generated files are what the platform says, and the platform and its environments are valid",
            commands: vec![xtask(&["generate", "--check"]), xtask(&["environment", "check"])],
            after: vec![],
            remedy: "run `cargo xtask generate`; it shows what it changes with --diff",
            limit_seconds: 60,
        },
        Gate {
            id: "flows",
            checks: "the flows would start and answer: the offline gate, and nrlint",
            commands: vec![xtask(&["check", "flows"]), nrlint("flows.json"), nrlint("test-smoke.json")],
            after: vec![],
            remedy: "mend the node that the finding names, in the editor (`cargo xtask dev`) or in the file",
            limit_seconds: 120,
        },
        Gate {
            id: "workflows",
            checks: "GitHub workflows: actionlint and zizmor find nothing",
            commands: vec![
                GateCommand {
                    program: "actionlint",
                    // It would call these two where a machine has them: the same files, another judgement.
                    arguments: vec!["-no-color", "-shellcheck=", "-pyflakes="],
                    calls: vec![],
                    folder: ".",
                    evidence: Evidence::ExitCode,
                },
                GateCommand {
                    program: "zizmor",
                    arguments: vec!["--offline", "--persona=auditor", "--no-progress", ".github/workflows"],
                    calls: vec![],
                    folder: ".",
                    evidence: Evidence::ExitCode,
                },
            ],
            after: vec![],
            remedy: "change the workflow's definition in xtask/src/artifacts/workflows.rs, then `cargo xtask generate`",
            limit_seconds: 120,
        },
        Gate {
            id: "containers",
            checks: "hadolint finds nothing in the Dockerfiles, and Compose understands each of its projects",
            commands: vec![
                GateCommand {
                    program: "hadolint",
                    // No finding is too small, and none can be switched off in a file.
                    arguments: vec![
                        "--no-color",
                        "--disable-ignore-pragma",
                        "--failure-threshold=style",
                        images::PRODUCTION,
                        images::DEVELOPMENT,
                    ],
                    calls: vec![],
                    folder: ".",
                    evidence: Evidence::ExitCode,
                },
                compose("ops/docker/dev", &["--env-file=../compose.env.example", "config", "--quiet"]),
                compose(
                    "ops/docker",
                    &["--env-file=compose.env.example", "-f=prod/compose.prod.yaml", "config", "--quiet"],
                ),
                compose(
                    "ops/docker",
                    &[
                        "--env-file=compose.env.example",
                        "-f=prod/compose.prod.yaml",
                        "-f=prod/compose.rehearsal.yaml",
                        "config",
                        "--quiet",
                    ],
                ),
            ],
            after: vec![],
            remedy: "change xtask/src/platform or xtask/src/artifacts/containers, then `cargo xtask generate`",
            limit_seconds: 120,
        },
        Gate {
            id: "clippy",
            checks: "clippy finds nothing in the Rust sources",
            commands: vec![cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])],
            after: vec!["format"],
            remedy: "mend what clippy names",
            limit_seconds: 900,
        },
        Gate {
            id: "tests",
            checks: "the Rust tests: the model, the formats, and the program as users run it",
            commands: vec![GateCommand {
                evidence: Evidence::CargoTests,
                ..cargo(&["test", "--workspace", "--no-fail-fast"])
            }],
            after: vec!["clippy"],
            remedy: "run the failing test alone: `cargo test -p xtask NAME`",
            limit_seconds: 1800,
        },
        Gate {
            id: "node",
            checks: "the JavaScript tests: nodes, launcher and flows in a real Node-RED with a real PostgreSQL",
            commands: vec![GateCommand {
                program: "npm",
                arguments: vec!["test", "--silent"],
                calls: vec!["node", "postgres", "dbmate"],
                folder: "flows",
                evidence: Evidence::NodeTests,
            }],
            after: vec!["tests"],
            remedy: "run the failing file alone: `cargo xtask ci node` prints its name and its log",
            limit_seconds: 900,
        },
        Gate {
            id: "smoke",
            checks: "a private platform comes up on free ports and its five smoke checks pass",
            commands: vec![xtask(&["smoke", "--private"])],
            after: vec!["node"],
            remedy: "run `cargo xtask dev`, then `cargo xtask smoke`, and read `cargo xtask logs`",
            limit_seconds: 300,
        },
    ]
}

fn cargo(arguments: &[&'static str]) -> GateCommand {
    command("cargo", arguments, ".")
}

fn xtask(arguments: &[&'static str]) -> GateCommand {
    command("xtask", arguments, ".")
}

/// It judges one file a call.
fn nrlint(file: &'static str) -> GateCommand {
    command("nrlint", &["--config", ".nrlintrc.js", file], "flows")
}

fn command(program: &'static str, arguments: &[&'static str], folder: &'static str) -> GateCommand {
    GateCommand {
        program,
        arguments: arguments.to_vec(),
        calls: vec![],
        folder,
        evidence: Evidence::ExitCode,
    }
}

fn compose(folder: &'static str, arguments: &[&'static str]) -> GateCommand {
    GateCommand {
        program: "docker-compose",
        arguments: arguments.to_vec(),
        calls: vec![],
        folder,
        evidence: Evidence::ExitCode,
    }
}
