//! The dashboards, read by Grafana's own schema.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "dashboards",
        group: GateGroup::Sources,
        checks: "Grafana's schema accepts the dashboards, and reads every value in them; the pictures of the docs show them as they are",
        commands: vec![GateCommand {
            proof: Proof::InCommand("the schema must first refuse a dashboard with a fault"),
            ..xtask(&["check", "dashboards"])
        }],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec![
            "docs/pictures",
            "ops/monitoring/dashboards",
            "ops/ci/tools/dashboard-check",
            "xtask",
        ]),
        negative_control: "xtask/tests/gates/dashboards.rs::what_grafana_would_not_read_is_found",
        remedy: "change xtask/artifacts/src/dashboards.rs, then `cargo xtask generate`; draw stale pictures again",
        limit_seconds: 600,
    }
}
