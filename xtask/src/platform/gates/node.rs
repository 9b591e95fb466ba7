//! The JavaScript of the flows, tested.

use vocabulary::model::{Evidence, Gate, GateCommand, GateGroup, Reads};

pub fn gate() -> Gate {
    Gate {
        id: "node",
        group: GateGroup::Node,
        checks: "the JavaScript tests: nodes, launcher and flows in a real Node-RED with a real PostgreSQL",
        commands: vec![GateCommand {
            program: "npm",
            arguments: vec!["test", "--silent"],
            calls: vec!["node", "postgres", "dbmate"],
            folder: "flows",
            evidence: Evidence::NodeTests,
        }],
        after: vec!["tests", "coverage"],
        requires: vec![],
        reads: Reads::Files(vec!["flows", "ops", "xtask"]),
        remedy: "run the failing file alone: `cargo xtask ci node` prints its name and its log",
        limit_seconds: 900,
    }
}
