//! The edge's configuration, read by HAProxy itself.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "edge",
        group: GateGroup::Sources,
        checks: "the oldest HAProxy that runs the edge and a newer one accept its configuration without a warning",
        commands: vec![GateCommand {
            proof: Proof::InCommand(
                "each HAProxy must first refuse the same configuration with an unknown keyword",
            ),
            ..xtask(&["check", "edge"])
        }],
        after: vec![],
        requires: vec![Requirement::NewerHaproxy],
        reads: Reads::Files(vec!["ops/edge", "xtask"]),
        negative_control: "xtask/tests/commands/edge/mod.rs::what_haproxy_refuses_is_shown_with_its_version",
        remedy: "change xtask/artifacts/src/containers/edge.rs or xtask/platform/src/edge.rs, then `cargo xtask generate`",
        limit_seconds: 120,
    }
}
