//! Crates with known faults.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "advisories",
        group: GateGroup::Security,
        checks: "no crate in Cargo.lock is known to be vulnerable, unsound, unmaintained or withdrawn",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/advisories.sarif")),
            calls: vec!["cargo-audit"],
            proof: Proof::InCommand(
                "cargo-audit first finds an advisory that every complete database contains",
            ),
            ..xtask(&["check", "advisories"])
        }],
        after: vec![],
        requires: vec![Requirement::AdvisoryDatabase],
        reads: Reads::World,
        negative_control: "xtask/tests/gates/security.rs::advisories_fails_on_a_vulnerable_or_unmaintained_crate",
        remedy: "update to a fixed version, or see docs/security.md",
        limit_seconds: 300,
    }
}
