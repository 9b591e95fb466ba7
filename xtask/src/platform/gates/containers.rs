//! Everything of containers that can be judged without an engine.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Sarif};

use crate::platform::images;

pub fn gate() -> Gate {
    Gate {
        id: "containers",
        group: GateGroup::Sources,
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
                sarif: Some(Sarif::Instead(vec![
                    "--format=sarif",
                    "--disable-ignore-pragma",
                    images::PRODUCTION,
                    images::DEVELOPMENT,
                ])),
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
        requires: vec![],
        reads: Reads::Files(vec!["ops"]),
        negative_control: "xtask/tests/containers.rs::hadolint_finds_packages_of_no_version",
        remedy: "change xtask/src/platform or xtask/src/artifacts/containers, then `cargo xtask generate`",
        limit_seconds: 120,
    }
}

fn compose(folder: &'static str, arguments: &[&'static str]) -> GateCommand {
    GateCommand {
        program: "docker-compose",
        arguments: arguments.to_vec(),
        calls: vec![],
        folder,
        evidence: Evidence::ExitCode,
        sarif: None,
    }
}
