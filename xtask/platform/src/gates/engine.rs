//! What only a real container engine can show.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Requirement};

use super::{cargo, tests};

/// One at a time: they share the engine, its addresses and its disk.
pub const TESTS: [&str; 7] =
    ["test", "--package=xtask", "--test=engine", "--no-fail-fast", "--", "--ignored", "--test-threads=1"];

/// What the Rust tests that need an engine read.
pub const READ: [&str; 8] =
    [".cargo", ".dockerignore", "Cargo.lock", "Cargo.toml", "flows", "ops", "rust-toolchain.toml", "xtask"];

pub fn gate() -> Gate {
    Gate {
        id: "engine",
        group: GateGroup::Containers,
        checks: "the Rust tests that need a container engine pass: images, development in containers, faults that the \
                 rehearsal must find",
        commands: vec![GateCommand {
            evidence: Evidence::CargoTests,
            ..cargo(&[&TESTS[..], &["--skip=slow::"]].concat(), tests::failing())
        }],
        after: vec!["images"],
        requires: vec![Requirement::ContainerEngine, Requirement::Root],
        reads: Reads::Files(READ.to_vec()),
        negative_control: "xtask/tests/engine/images/gate.rs::the_gates_fail_on_a_failing_test_that_needs_an_engine",
        remedy: "run only the failing test: `cargo test -p xtask --test engine NAME -- --ignored`",
        limit_seconds: 2700,
    }
}
