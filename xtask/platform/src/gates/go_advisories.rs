//! Programs of the services that are written in Go, with known faults.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "go-advisories",
        group: GateGroup::Security,
        checks: "the Go vulnerability database has nothing about what is built into the services' programs",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/go-advisories.sarif")),
            calls: vec!["go", "govulncheck"],
            proof: Proof::InCommand(
                "the database must have an old advisory, and each program must list its modules",
            ),
            ..xtask(&["check", "go-advisories"])
        }],
        after: vec![],
        requires: vec![Requirement::GoAdvisories],
        reads: Reads::World,
        negative_control: "xtask/tests/gates/go_advisories.rs::go_advisories_fails_on_a_vulnerable_program_and_passes_without",
        remedy: "update to a fixed version, or see docs/security.md",
        limit_seconds: 2700,
    }
}
