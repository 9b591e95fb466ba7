//! Crates with known faults.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "advisories",
        group: GateGroup::Security,
        checks: "no crate of Cargo.lock is known to be vulnerable, unsound, unmaintained or withdrawn",
        commands: vec![GateCommand { calls: vec!["cargo-audit"], ..xtask(&["check", "advisories"]) }],
        after: vec![],
        requires: vec![Requirement::AdvisoryDatabase],
        reads: Reads::World,
        negative_control: "xtask/tests/security_gates.rs::advisories_fails_on_a_vulnerable_or_unmaintained_crate",
        remedy: "take a version that is mended, or see docs/security.md",
        limit_seconds: 300,
    }
}
