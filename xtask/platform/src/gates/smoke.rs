//! A platform that proves itself.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "smoke",
        group: GateGroup::Node,
        checks: "a temporary platform starts on free ports and passes its five smoke checks",
        commands: vec![xtask(&["smoke", "--private"])],
        after: vec!["node"],
        requires: vec![],
        reads: Reads::Files(vec!["flows", "ops", "xtask"]),
        negative_control: "xtask/tests/gates/faults.rs::smoke_fails_when_a_check_is_missing_and_leaves_nothing_running",
        remedy: "run `cargo xtask dev`, then `cargo xtask smoke`, and read `cargo xtask logs`",
        limit_seconds: 300,
    }
}
