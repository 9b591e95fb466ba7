//! What security catalogues ask for holds in the files as they lie here.

use vocabulary::model::{Gate, GateCommand, GateGroup, Reads, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "compliance",
        group: GateGroup::Sources,
        checks: "every applicable row of docs/reference/compliance.md passes",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/compliance.sarif")),
            ..xtask(&["check", "compliance"])
        }],
        after: vec![],
        requires: vec![],
        // The time too: a proven restore grows old. And what a release or a drill has left.
        reads: Reads::World,
        negative_control: "xtask/tests/commands/compliance.rs::the_gate_fails_on_a_planted_fault",
        remedy: "fix what the finding names; if the file is generated, edit the source that its first line names",
        limit_seconds: 60,
    }
}
