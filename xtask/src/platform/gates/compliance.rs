//! What security catalogues ask for holds in the files as they lie here.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "compliance",
        group: GateGroup::Sources,
        checks: "every row of the catalogue that has something to look at holds: see docs/reference/compliance.md",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/compliance.sarif")),
            ..xtask(&["check", "compliance"])
        }],
        after: vec![],
        requires: vec![],
        // The time too: a proven restore grows old. And what a release or a drill has left.
        reads: Reads::World,
        negative_control: "xtask/tests/compliance.rs::the_gate_fails_on_a_planted_fault",
        remedy: "mend what the finding names; where the file is generated, where its first line says",
        limit_seconds: 60,
    }
}
