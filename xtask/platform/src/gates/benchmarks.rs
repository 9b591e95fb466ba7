//! What the hot paths and the launcher cost, in figures that a machine's load does not touch.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "benchmarks",
        group: GateGroup::Rust,
        checks: "the hot paths need no more instructions than recorded, and Node-RED reaches its minimum share of requests in our launcher",
        commands: vec![
            GateCommand {
                proof: Proof::InCommand("a hot path for which Valgrind counts nothing fails"),
                ..xtask(&["measure", "instructions"])
            },
            xtask(&["measure", "requests"]),
        ],
        // Requests are asked by the clock: what else uses the processors comes first.
        after: vec![
            "tests",
            "coverage",
            "node",
            "browser",
            "smoke",
            "images",
            "engine",
            "rehearsal",
            "slow-tests",
            "slow-engine",
            "engine-restart",
        ],
        requires: vec![Requirement::Valgrind],
        reads: Reads::Files(vec!["flows", "ops", "xtask", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"]),
        negative_control: "xtask/tests/commands/measures.rs::ten_percent_more_instructions_fail_and_noise_does_not",
        remedy: "make the named code cheaper; if it has to cost more, run `cargo xtask measure instructions --record`",
        limit_seconds: 600,
    }
}
