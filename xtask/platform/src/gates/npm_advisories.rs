//! npm packages with known faults.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "npm-advisories",
        group: GateGroup::Security,
        checks: "the npm registry reports no vulnerability in the production packages",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/npm-advisories.sarif")),
            calls: vec!["node"],
            proof: Proof::InCommand("the registry first reports a package that is known to be vulnerable"),
            ..xtask(&["check", "npm-advisories"])
        }],
        after: vec![],
        requires: vec![Requirement::NpmAudits],
        reads: Reads::World,
        negative_control: "xtask/tests/gates/security.rs::npm_advisories_fails_on_a_vulnerable_package_and_passes_without",
        remedy: "update to a fixed version, or see docs/security.md",
        limit_seconds: 300,
    }
}
