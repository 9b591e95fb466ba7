//! The quality gates of `cargo xtask ci`, one file per gate, in the order in which they are shown.

mod advisories;
mod alerts;
mod benchmarks;
mod browser;
mod clippy;
mod compliance;
mod containers;
mod coverage;
mod dashboards;
mod deploys;
mod edge;
mod engine;
mod engine_restart;
mod firewall;
mod flows;
mod format;
mod generated;
mod go_advisories;
mod images;
mod licences;
mod node;
mod npm_advisories;
mod rehearsal;
mod secrets_in_history;
mod slow_engine;
mod slow_tests;
mod smoke;
mod tests;
mod workflows;

use vocabulary::model::{Evidence, Gate, GateCommand, PlantedArgument, PlantedFault, PlantedFile, Proof};

pub fn gates() -> Vec<Gate> {
    vec![
        format::gate(),
        generated::gate(),
        flows::gate(),
        workflows::gate(),
        containers::gate(),
        edge::gate(),
        alerts::gate(),
        dashboards::gate(),
        compliance::gate(),
        secrets_in_history::gate(),
        advisories::gate(),
        npm_advisories::gate(),
        go_advisories::gate(),
        licences::gate(),
        clippy::gate(),
        tests::gate(),
        coverage::gate(),
        node::gate(),
        browser::gate(),
        smoke::gate(),
        deploys::gate(),
        firewall::gate(),
        images::gate(),
        engine::gate(),
        rehearsal::gate(),
        slow_tests::gate(),
        slow_engine::gate(),
        engine_restart::gate(),
        benchmarks::gate(),
    ]
}

fn cargo(arguments: &[&'static str], fault: PlantedFault) -> GateCommand {
    command("cargo", arguments, ".", fault)
}

fn xtask(arguments: &[&'static str]) -> GateCommand {
    program(GateCommand::XTASK, arguments, ".", Proof::OwnTests)
}

fn command(
    name: &'static str,
    arguments: &[&'static str],
    folder: &'static str,
    fault: PlantedFault,
) -> GateCommand {
    program(name, arguments, folder, Proof::PlantedFault(fault))
}

fn program(
    program: &'static str,
    arguments: &[&'static str],
    folder: &'static str,
    proof: Proof,
) -> GateCommand {
    GateCommand {
        program,
        arguments: arguments.to_vec(),
        calls: vec![],
        folder,
        evidence: Evidence::ExitCode,
        sarif: None,
        proof,
    }
}

/// One file with a fault; the arguments, then the file's path.
fn planted(
    name: &'static str,
    text: &'static str,
    arguments: &[&'static str],
    finding: &'static str,
) -> PlantedFault {
    let words = arguments.iter().copied().map(PlantedArgument::Word);
    PlantedFault {
        files: vec![PlantedFile { name, text }],
        arguments: words.chain([PlantedArgument::Path(name)]).collect(),
        finding,
    }
}

/// A crate with a fault; `cargo BEFORE --manifest-path=.. AFTER`.
fn planted_crate(
    text: &'static str,
    before: &[&'static str],
    after: &[&'static str],
    finding: &'static str,
) -> PlantedFault {
    const MANIFEST: &str = "[package]\nname = \"planted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \
                            \"lib.rs\"\ndoctest = false\n\n[workspace]\n";
    let words = |words: &[&'static str]| words.iter().copied().map(PlantedArgument::Word).collect();
    let manifest = vec![PlantedArgument::Word("--manifest-path"), PlantedArgument::Path("Cargo.toml")];
    PlantedFault {
        files: vec![PlantedFile { name: "Cargo.toml", text: MANIFEST }, PlantedFile { name: "lib.rs", text }],
        arguments: [words(before), manifest, words(after)].concat(),
        finding,
    }
}
