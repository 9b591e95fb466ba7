//! How much of the Rust sources the tests run. That of the JavaScript sources is judged where its tests run: in `node`.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement};

use super::{tests, xtask};

pub fn gate() -> Gate {
    Gate {
        id: "coverage",
        group: GateGroup::Slow,
        checks: "the fast Rust tests cover as many lines, overall and per module, as ops/ci/coverage.toml requires, \
                 and at most 2 points fewer than recorded",
        commands: vec![GateCommand {
            proof: Proof::InCommand("a cargo-llvm-cov report in which a module has no line fails"),
            ..xtask(&["measure", "coverage", "rust"])
        }],
        after: vec!["tests"],
        requires: vec![Requirement::LlvmTools],
        reads: Reads::Files(tests::READ.to_vec()),
        negative_control: "xtask/tests/commands/measures.rs::a_room_under_its_threshold_fails_and_is_not_recorded",
        remedy: "add tests for the named module; `cargo xtask measure coverage rust` shows all modules",
        limit_seconds: 1800,
    }
}
