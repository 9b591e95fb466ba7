//! Deploys that lose nothing.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "deploys",
        group: GateGroup::Node,
        checks: "under load through the edge, deploys that are good, broken or killed lose no request and no task, and a \
                 broken release is rolled back",
        // Fewer requests than the figures are of: a busy machine of two cores must not fail them by itself.
        commands: vec![xtask(&["drill", "deploy", "--count", "4", "--rate", "50", "--tasks", "5"])],
        after: vec!["node", "smoke"],
        requires: vec![],
        reads: Reads::Files(vec!["Cargo.lock", "Cargo.toml", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/platform/drill.rs::a_drill_without_draining_shows_what_it_loses_and_leaves_nothing",
        remedy: "run `cargo xtask drill deploy --count 4`, then read the logs in .flowship/drill-kept",
        limit_seconds: 600,
    }
}
