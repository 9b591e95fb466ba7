//! The JavaScript of the flows, tested.

use vocabulary::model::{
    Evidence, Gate, GateCommand, GateGroup, PlantedArgument, PlantedFault, PlantedFile, Reads,
};

use super::{command, xtask};

pub fn gate() -> Gate {
    Gate {
        id: "node",
        group: GateGroup::Node,
        checks: "the JavaScript tests of nodes, launcher and flows pass, with a real Node-RED and PostgreSQL, and \
                 cover as many lines as ops/ci/coverage.toml requires",
        commands: vec![
            GateCommand {
                calls: vec!["node", "postgres", "dbmate"],
                evidence: Evidence::NodeTests,
                ..command("npm", &["test", "--silent"], "flows", failing())
            },
            // The tests write the report.
            xtask(&["measure", "coverage", "javascript"]),
        ],
        after: vec!["tests", "coverage"],
        requires: vec![],
        reads: Reads::Files(vec!["docs/workflows.md", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/gates/faults.rs::node_fails_on_a_failing_test",
        remedy: "run only the failing file, which the log names: `cargo xtask test flows FILE`",
        limit_seconds: 900,
    }
}

/// A test that must fail, run as the others are: by a script of its package.
pub fn failing() -> PlantedFault {
    let file = |name, text| PlantedFile { name, text };
    PlantedFault {
        files: vec![
            file("package.json", r#"{"private":true,"scripts":{"test":"node --test --test-reporter=spec"}}"#),
            file(
                "planted.test.js",
                "require('node:test').test('planted', () => { throw new Error('planted'); });\n",
            ),
        ],
        arguments: vec![
            PlantedArgument::Word("test"),
            PlantedArgument::Word("--silent"),
            PlantedArgument::Word("--prefix"),
            PlantedArgument::Path("."),
        ],
        finding: "fail 1",
    }
}
