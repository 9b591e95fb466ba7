//! What only a real container engine can show.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Requirement};

use super::{cargo, tests};

pub fn gate() -> Gate {
    Gate {
        id: "engine",
        group: GateGroup::Containers,
        checks: "the Rust tests that need a container engine pass: images, development in containers, faults that the \
                 rehearsal must find",
        commands: vec![GateCommand {
            evidence: Evidence::CargoTests,
            // One at a time: they share the engine, its addresses and its disk.
            ..cargo(
                &[
                    "test",
                    "--package=xtask",
                    "--test=engine",
                    "--no-fail-fast",
                    "--",
                    "--ignored",
                    // It builds six programs and takes four minutes: ops/ci/ignored-tests.toml says when to run it.
                    "--skip=monitoring::",
                    "--test-threads=1",
                ],
                tests::failing(),
            )
        }],
        after: vec!["images"],
        requires: vec![Requirement::ContainerEngine, Requirement::Root],
        reads: Reads::Files(vec![
            ".cargo",
            ".dockerignore",
            "Cargo.lock",
            "Cargo.toml",
            "flows",
            "ops",
            "rust-toolchain.toml",
            "xtask",
        ]),
        negative_control: "xtask/tests/engine/images/gate.rs::the_gate_fails_on_a_failing_test_that_needs_an_engine",
        remedy: "run only the failing test: `cargo test -p xtask --test engine NAME -- --ignored`",
        limit_seconds: 2700,
    }
}
