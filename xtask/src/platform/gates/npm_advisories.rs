//! npm packages with known faults.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "npm-advisories",
        group: GateGroup::Security,
        checks: "the npm registry knows of no vulnerability of a package in production",
        commands: vec![GateCommand { calls: vec!["node"], ..xtask(&["check", "npm-advisories"]) }],
        after: vec![],
        requires: vec![Requirement::NpmAudits],
        reads: Reads::World,
        remedy: "take a version that is mended, or see docs/security.md",
        limit_seconds: 300,
    }
}
