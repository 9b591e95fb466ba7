//! The JavaScript of the flows, tested.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "node",
        group: GateGroup::Node,
        checks: "the JavaScript tests: nodes, launcher and flows in a real Node-RED with a real PostgreSQL; they run as \
                 many lines as ops/ci/coverage.toml wants",
        commands: vec![
            GateCommand {
                program: "npm",
                arguments: vec!["test", "--silent"],
                calls: vec!["node", "postgres", "dbmate"],
                folder: "flows",
                evidence: Evidence::NodeTests,
                sarif: None,
            },
            // The tests write the report.
            xtask(&["measure", "coverage", "javascript"]),
        ],
        after: vec!["tests", "coverage"],
        requires: vec![],
        reads: Reads::Files(vec!["flows", "ops", "xtask"]),
        negative_control: "xtask/tests/gates.rs::node_fails_on_a_failing_test",
        remedy: "run the failing file alone: `cargo xtask ci node` prints its name and its log",
        limit_seconds: 900,
    }
}
