//! The rules of Prometheus, read and tested by promtool.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "alerts",
        group: GateGroup::Sources,
        checks: "promtool accepts the rules of Prometheus, the log collector its configuration, the rules' tests pass, and these \
                 notice faults in the rules",
        commands: vec![
            GateCommand {
                proof: Proof::InCommand("promtool and the collector must first refuse a fault each"),
                ..xtask(&["alerts", "check"])
            },
            GateCommand {
                proof: Proof::InCommand(
                    "the same tests must fail for rules with a fault, which the next command makes",
                ),
                ..xtask(&["alerts", "test"])
            },
            GateCommand {
                proof: Proof::InCommand("the tests must notice 95 % of the faults"),
                ..xtask(&["alerts", "test", "--mutants=100"])
            },
        ],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec![
            "ops/monitoring",
            "ops/ci/tools/otel-collector",
            "ops/ci/tools/prometheus",
            "xtask",
        ]),
        negative_control: "xtask/tests/gates/alerts.rs::rules_and_tests_with_a_fault_are_found",
        remedy: "correct the rule or its tests in xtask/platform/src, then `cargo xtask generate`",
        limit_seconds: 1800,
    }
}
