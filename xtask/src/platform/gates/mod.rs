//! The quality gates of `cargo xtask ci`, one file per gate, in the order in which they are shown.

mod advisories;
mod benchmarks;
mod browser;
mod clippy;
pub mod compliance;
mod containers;
mod coverage;
mod engine;
mod engine_restart;
mod flows;
mod format;
mod generated;
mod images;
mod licences;
mod node;
mod npm_advisories;
mod rehearsal;
mod secrets_in_history;
mod smoke;
mod tests;
mod workflows;

use vocabulary::model::{Evidence, Gate, GateCommand};

pub fn gates() -> Vec<Gate> {
    vec![
        format::gate(),
        generated::gate(),
        flows::gate(),
        workflows::gate(),
        containers::gate(),
        compliance::gate(),
        secrets_in_history::gate(),
        advisories::gate(),
        npm_advisories::gate(),
        licences::gate(),
        clippy::gate(),
        tests::gate(),
        coverage::gate(),
        node::gate(),
        browser::gate(),
        smoke::gate(),
        images::gate(),
        engine::gate(),
        rehearsal::gate(),
        engine_restart::gate(),
        benchmarks::gate(),
    ]
}

fn cargo(arguments: &[&'static str]) -> GateCommand {
    command("cargo", arguments, ".")
}

fn xtask(arguments: &[&'static str]) -> GateCommand {
    command("xtask", arguments, ".")
}

fn command(program: &'static str, arguments: &[&'static str], folder: &'static str) -> GateCommand {
    GateCommand {
        program,
        arguments: arguments.to_vec(),
        calls: vec![],
        folder,
        evidence: Evidence::ExitCode,
        sarif: None,
    }
}
