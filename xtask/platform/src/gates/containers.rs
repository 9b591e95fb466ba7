//! Everything of containers that can be judged without an engine.

use vocabulary::model::{
    Gate, GateCommand, GateGroup, PlantedArgument, PlantedFault, PlantedFile, Reads, Sarif,
};

use super::{command, planted};
use crate::images;

pub fn gate() -> Gate {
    // No finding is too small, and none can be switched off in a file.
    let hadolint = ["--no-color", "--disable-ignore-pragma", "--failure-threshold=style"];
    Gate {
        id: "containers",
        group: GateGroup::Sources,
        checks: "hadolint finds nothing in the Dockerfiles, and Docker Compose accepts each project",
        commands: vec![
            GateCommand {
                sarif: Some(Sarif::Instead(vec![
                    "--format=sarif",
                    "--disable-ignore-pragma",
                    images::PRODUCTION,
                    images::DEVELOPMENT,
                ])),
                ..command(
                    "hadolint",
                    &[&hadolint[..], &[images::PRODUCTION, images::DEVELOPMENT]].concat(),
                    ".",
                    planted("Dockerfile", "FROM debian\n", &hadolint, "DL3006"),
                )
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
        negative_control: "xtask/tests/commands/containers.rs::hadolint_finds_packages_of_no_version",
        remedy: "change xtask/platform/src or xtask/artifacts/src/containers, then `cargo xtask generate`",
        limit_seconds: 120,
    }
}

fn compose(folder: &'static str, arguments: &[&'static str]) -> GateCommand {
    let fault = PlantedFault {
        files: vec![PlantedFile {
            name: "compose.yaml",
            text: "services:\n  planted:\n    image: [planted]\n",
        }],
        arguments: vec![
            PlantedArgument::Word("-f"),
            PlantedArgument::Path("compose.yaml"),
            PlantedArgument::Word("config"),
            PlantedArgument::Word("--quiet"),
        ],
        finding: "services.planted.image must be a string",
    };
    command("docker-compose", arguments, folder, fault)
}
