//! The Rust tests.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, PlantedFault, Reads};

use super::{cargo, planted_crate};

/// What the Rust tests read, however they are run: many judge the repository itself.
pub const READ: [&str; 10] = [
    ".cargo",
    ".gitattributes",
    ".github",
    "docs",
    "flows",
    "ops",
    "xtask",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
];

pub fn gate() -> Gate {
    Gate {
        id: "tests",
        group: GateGroup::Rust,
        checks: "the Rust tests pass: the model, the formats, and the program as users run it",
        commands: vec![GateCommand {
            evidence: Evidence::CargoTests,
            ..cargo(&["test", "--workspace", "--no-fail-fast"], failing())
        }],
        after: vec!["clippy"],
        requires: vec![],
        reads: Reads::Files(READ.to_vec()),
        negative_control: "xtask/tests/gates/faults.rs::tests_fails_on_a_failing_test",
        remedy: "run only the failing test: `cargo test NAME`",
        limit_seconds: 3000,
    }
}

/// A test that must fail.
pub fn failing() -> PlantedFault {
    planted_crate(
        "#[test]\nfn planted_fault() {\n    assert_eq!(1, 2);\n}\n",
        &["test", "--no-fail-fast", "--target-dir=target/xtask/planted"],
        &[],
        "test planted_fault ... FAILED",
    )
}
