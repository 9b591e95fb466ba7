//! The Rust tests that take minutes and need no container engine.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads};

use super::{cargo, tests};

pub fn gate() -> Gate {
    Gate {
        id: "slow-tests",
        group: GateGroup::Slow,
        checks: "the slow Rust tests pass: deploys, rotations and drills of a whole platform, monitoring, a \
                 rebuilt operator's program, testssl",
        commands: vec![GateCommand {
            evidence: Evidence::CargoTests,
            ..cargo(
                &[
                    "test",
                    "--package=xtask",
                    "--test=commands",
                    "--test=gates",
                    "--test=platform",
                    "--test=releases",
                    "--no-fail-fast",
                    "--",
                    "--ignored",
                ],
                tests::failing(),
            )
        }],
        after: vec!["tests", "coverage", "node", "browser", "smoke", "deploys"],
        requires: vec![],
        reads: Reads::Files(tests::READ.to_vec()),
        negative_control: "xtask/tests/gates/faults.rs::slow_tests_fails_on_a_failing_slow_test",
        remedy: "run only the failing test: `cargo test -p xtask NAME -- --ignored`",
        limit_seconds: 5400,
    }
}
