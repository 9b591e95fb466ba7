//! What only a real container engine can show, and takes minutes.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads, Requirement};

use super::{cargo, engine, tests};

pub fn gate() -> Gate {
    Gate {
        id: "slow-engine",
        group: GateGroup::Slow,
        checks: "the slow Rust tests that need a container engine pass: certificates of an ACME authority, secrets replaced \
                 under load, OpenBao, monitoring",
        commands: vec![GateCommand {
            evidence: Evidence::CargoTests,
            ..cargo(&[&engine::TESTS[..], &["slow::"]].concat(), tests::failing())
        }],
        after: vec!["images", "engine", "rehearsal", "slow-tests"],
        requires: vec![Requirement::ContainerEngine, Requirement::Root],
        reads: Reads::Files(engine::READ.to_vec()),
        negative_control: "xtask/tests/engine/images/gate.rs::the_gates_fail_on_a_failing_test_that_needs_an_engine",
        remedy: "run only the failing test: `cargo test -p xtask --test engine NAME -- --ignored`",
        limit_seconds: 5400,
    }
}
